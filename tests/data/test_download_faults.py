"""A source that misbehaves: each fault is mended or named, and never leaves something that looks whole."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.download_faults import CASES, NAME, PREFIX, SHARD, Case, write_source
from tests.data.storage_server import Fault, Storage, Stored, serve

from vla_data.openx.download import download
from vla_data.openx.faults import Patience, TransientError
from vla_data.openx.tasks import DownloadConfig, Outcome

BRIEF = Patience(attempts=4, first_delay=0.005, timeout=1.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    write_source(root)
    return root


@pytest.fixture
def storage(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    with serve(source) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def fetch(root: Path, source: str = "gs://bucket/robotics", **options: object) -> Outcome:
    options = {"copy": True, "jobs": 2, "patience": BRIEF, **options}
    (outcome,) = download([f"{NAME}/1.0.0"], DownloadConfig(source, root, **options))  # type: ignore[arg-type]
    return outcome


def content(directory: Path) -> dict[str, bytes]:
    files = [p for p in directory.iterdir() if not p.name.startswith(".") and p.name != "download.json"]
    return {p.name: p.read_bytes() for p in files}


def published(storage: Storage) -> dict[str, bytes]:
    return {name.removeprefix(PREFIX): stored.data for name, stored in storage.objects.items()}


def reason(outcome: Outcome) -> str:
    assert outcome.error is not None
    return f"{outcome.error['message']}: {outcome.error['got']}"


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_fault_is_mended_or_named(case: Case, storage: Storage, tmp_path: Path):
    case.arrange(storage)
    root = tmp_path / "data"
    outcome = fetch(root)
    directory = root / NAME / "1.0.0"
    if not case.says:
        assert outcome.state == "verified", outcome.reason
        assert content(directory) == published(storage)
    else:
        assert outcome.state == "failed"
        assert re.search(case.says, reason(outcome)), outcome.reason
        assert outcome.error is not None
        assert outcome.error["where"]
        assert not (directory / "features.json").exists()  # what is not whole is no data set
    assert list(tmp_path.rglob("*evil*")) == []
    if not case.says:
        assert list(directory.glob(".*.part")) == []


def test_a_fault_that_was_named_is_mended_by_the_next_call(storage: Storage, tmp_path: Path):
    storage.faults[SHARD].append(Fault("status", 503, lasting=True))
    assert fetch(tmp_path).state == "failed"
    storage.faults.clear()
    before = storage.sent
    assert fetch(tmp_path).state == "verified"
    assert storage.sent - before < 2 * len(storage.objects[SHARD].data)  # the other shards stayed


def test_a_cut_transfer_goes_on_where_it_broke(storage: Storage, tmp_path: Path):
    storage.faults[SHARD].append(Fault("cut", 7000))
    assert fetch(tmp_path).repaired == 1
    ranges = [r for _, path, r in storage.log if SHARD in path and r]
    assert ranges == ["bytes=7000-"]


def test_no_byte_beyond_the_listed_size_is_kept(storage: Storage, tmp_path: Path):
    storage.faults[SHARD].append(Fault("endless", 5_000_000, lasting=True))
    fetch(tmp_path)
    sizes = [p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()]
    assert max(sizes) <= len(storage.objects[SHARD].data)


def test_a_server_that_asks_to_wait_is_waited_for(storage: Storage):
    from vla_data.openx.web import request

    storage.faults[SHARD].append(Fault("status", (503, 17)))
    with pytest.raises(TransientError, match="cannot answer") as caught:
        request(f"{storage.url}/mirror/{SHARD}")
    waited: list[float] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    Patience().wait(1, caught.value, Clock())
    assert waited == [17.0]


def test_a_full_disk_is_named_and_what_came_is_kept(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("vla_data.openx.transfer.os.fsync", full)
        outcome = fetch(tmp_path)
    assert outcome.state == "failed"
    assert "no space is left" in outcome.reason
    assert outcome.error is not None
    assert outcome.error["exit_code"] == 4
    assert fetch(tmp_path).state == "verified"


def test_too_little_room_is_told_before_anything_is_fetched(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = type("Usage", (), {"free": 50_000})
    monkeypatch.setattr("vla_data.openx.download.shutil.disk_usage", lambda _: usage)
    outcome = fetch(tmp_path / "data")
    assert "not enough room" in outcome.reason
    assert not (tmp_path / "data").exists()
    assert fetch(tmp_path / "data", shards="0").state == "verified"  # a part fits


class TestMirror:
    """A plain web server: no checksums, no listing."""

    def test_it_is_asked_for_what_is_declared(self, storage: Storage, tmp_path: Path):
        outcome = fetch(tmp_path, storage.mirror)
        assert outcome.state == "verified"
        assert content(tmp_path / NAME / "1.0.0") == {
            k: v for k, v in published(storage).items() if k != "a.labels.txt"
        }

    def test_shards_it_silently_lacks_are_named(self, storage: Storage, tmp_path: Path):
        for i in (1, 3):
            del storage.objects[f"{PREFIX}{NAME}-train.tfrecord-0000{i}-of-00004"]
        outcome = fetch(tmp_path, storage.mirror)
        assert outcome.state == "failed"
        assert (
            "2 of them missing: made_up-train.tfrecord-00001-of-00004, made_up-train.tfrecord-00003"
            in outcome.reason
        )

    def test_a_wrong_byte_is_found_by_the_records_own_checksums(self, storage: Storage, tmp_path: Path):
        storage.faults[SHARD].append(Fault("flip", 5000))
        outcome = fetch(tmp_path, storage.mirror)
        assert (outcome.state, outcome.repaired) == ("verified", 1)
        storage.faults[SHARD].append(Fault("flip", 5000, lasting=True))
        outcome = fetch(tmp_path / "again", storage.mirror)
        assert "its data does not fit" in outcome.reason

    @pytest.mark.parametrize("etags", [True, False])
    def test_a_cut_is_mended_with_and_without_etags(self, storage: Storage, tmp_path: Path, etags: bool):
        storage.etags = etags
        storage.faults[SHARD] += [Fault("cut", 7000), Fault("cut", 9000)]
        outcome = fetch(tmp_path, storage.mirror)
        assert outcome.state == "verified"
        ranges = [r for _, path, r in storage.log if SHARD in path and r]
        assert len(ranges) == (2 if etags else 0)  # what cannot be told apart is fetched anew

    def test_a_file_that_changes_is_fetched_anew(self, storage: Storage, tmp_path: Path):
        storage.faults[SHARD].append(Fault("change", 3000))
        assert fetch(tmp_path, storage.mirror).state == "verified"

    def test_a_version_must_be_known(self, storage: Storage, tmp_path: Path):
        config = DownloadConfig(storage.mirror, tmp_path, copy=True, patience=BRIEF)
        (outcome,) = download([NAME], config)
        assert "no version" in outcome.reason
        assert outcome.error is not None
        assert "made_up/1.0.0" in str(outcome.error["next"])


class TestLocalDirectory:
    def test_a_link_that_leads_out_of_it_is_refused(self, storage: Storage, tmp_path: Path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / NAME).symlink_to(outside)
        outcome = fetch(tmp_path / "data")
        assert "symbolic link" in outcome.reason or "leads out" in outcome.reason
        assert list(outside.iterdir()) == []

    def test_a_shard_that_is_a_link_out_of_it_is_refused(self, storage: Storage, tmp_path: Path):
        directory = tmp_path / "data" / NAME / "1.0.0"
        directory.mkdir(parents=True)
        victim = tmp_path / "victim"
        victim.write_bytes(b"mine")
        (directory / SHARD.rpartition("/")[2]).symlink_to(victim)
        assert fetch(tmp_path / "data").state == "failed"
        assert victim.read_bytes() == b"mine"

    def test_a_part_that_is_a_link_is_not_followed(self, storage: Storage, tmp_path: Path):
        from vla_data.openx.transfer import part_path

        directory = tmp_path / NAME / "1.0.0"
        directory.mkdir(parents=True)
        victim = tmp_path / "victim"
        victim.write_bytes(b"mine")
        from vla_data.openx.sources import open_source

        listed = open_source("gs://bucket/robotics", BRIEF).objects(NAME, "1.0.0", ())[
            SHARD.rpartition("/")[2]
        ]
        part_path(directory / listed.name, listed).symlink_to(victim)
        assert fetch(tmp_path).state == "failed"
        assert victim.read_bytes() == b"mine"

    def test_what_changed_on_disk_is_fetched_again(self, storage: Storage, tmp_path: Path):
        fetch(tmp_path)
        shard = tmp_path / NAME / "1.0.0" / SHARD.rpartition("/")[2]
        shard.write_bytes(bytes(shard.stat().st_size))
        assert fetch(tmp_path).state == "verified"
        assert shard.read_bytes() == storage.objects[SHARD].data

    def test_two_at_once_do_not_mix(self, storage: Storage, tmp_path: Path):
        from vla_data.openx.lock import locked

        with locked(tmp_path / NAME / "1.0.0" / ".download.lock"):
            assert "another process" in fetch(tmp_path).reason

    def test_a_new_generation_on_disk_is_replaced(self, storage: Storage, tmp_path: Path):
        fetch(tmp_path)
        stored = storage.objects[SHARD]
        storage.objects[SHARD] = Stored(stored.data, stored.generation + 1)
        assert fetch(tmp_path).state == "verified"
