"""Interrupted at any moment, a download goes on where it stopped and ends byte for byte as published."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.data.download_faults import NAME, SHARD, write_source
from tests.data.download_kills import config, kills
from tests.data.storage_server import Storage, serve

from vla_data.openx.download import download
from vla_data.openx.manifest import load_manifest
from vla_data.protocols import Progress


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    write_source(tmp_path / "source", shard_bytes=60_000, shards=6)
    with serve(tmp_path / "source") as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def require_identical(storage: Storage, root: Path, count: int) -> None:
    found = list(kills(storage, root, count))
    assert [k for k in found if not k.identical] == []
    assert [k for k in found if k.readable and k.whole < len(storage.objects)] == []  # no half a data set
    assert any(k.parts for k in found)  # some were hit in the middle of a file
    assert max(k.saved for k in found) > 0.3


def test_killed_and_resumed(storage: Storage, tmp_path: Path):
    require_identical(storage, tmp_path / "killed", 3)


@pytest.mark.slow
def test_killed_and_resumed_twenty_times(storage: Storage, tmp_path: Path):
    require_identical(storage, tmp_path / "killed", 20)


def test_ctrl_c_leaves_what_came(storage: Storage, tmp_path: Path):
    storage.rate = 200_000
    target = tmp_path / "data"

    def press(progress: Progress) -> None:
        if progress.total and progress.done > progress.total / 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        download([f"{NAME}/1.0.0"], config(target), press)
    manifest = load_manifest(target / NAME / "1.0.0")
    assert manifest is not None
    assert manifest.state == "incomplete"
    storage.rate = None
    (outcome,) = download([f"{NAME}/1.0.0"], config(target))
    assert outcome.state == "verified"


def test_what_nobody_foresaw_is_not_swallowed(storage: Storage, tmp_path: Path):
    def broken(progress: Progress) -> None:
        if progress.total and progress.done > 0:
            raise RuntimeError("the callback is broken")

    storage.rate = 200_000  # slow enough that progress is told of while files are under way
    with pytest.raises(RuntimeError, match="is broken"):
        download([f"{NAME}/1.0.0"], config(tmp_path), broken)
    assert not (tmp_path / NAME / "1.0.0" / "features.json").exists()


def test_what_is_whole_and_known_is_not_read_again(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    download([f"{NAME}/1.0.0"], config(tmp_path))
    monkeypatch.setattr("vla_data.openx.copying.digest_file", lambda *_: pytest.fail("it was read"))
    (outcome,) = download([f"{NAME}/1.0.0"], config(tmp_path))
    assert (outcome.state, outcome.to_fetch) == ("verified", 0)


def test_without_the_manifest_what_is_here_is_known_by_its_checksum(storage: Storage, tmp_path: Path):
    download([f"{NAME}/1.0.0"], config(tmp_path))
    (tmp_path / NAME / "1.0.0" / "download.json").unlink()
    before = storage.sent
    (outcome,) = download([f"{NAME}/1.0.0"], config(tmp_path))
    assert outcome.state == "verified"
    assert storage.sent - before < len(
        storage.objects[SHARD.replace("-of-00004", "-of-00006")].data
    )  # facts only
