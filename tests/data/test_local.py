"""Data sets by name: what lies below the data directory, what was registered, what is only streamed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.episodes import assert_same, make_episode, write_dataset
from tests.data.storage_server import Fault, Storage, Stored, serve

import vla_data
from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.files import cache_directory, read_json
from vla_data.openx.cache import cache_limit
from vla_data.openx.download import download
from vla_data.openx.faults import ChangedError, Patience
from vla_data.openx.local import LocalDataset, find_local, local_datasets, register, register_path
from vla_data.openx.manifest import load_manifest
from vla_data.openx.plan import parse_shards
from vla_data.openx.tasks import DownloadConfig, Outcome

EPISODES = 8
SHARD = "robotics/made_up/1.0.0/made_up-train.tfrecord-0000{}-of-00004"


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "VLA_DATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("VLA_CACHE", raising=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    write_dataset(root / "made_up" / "1.0.0", [make_episode(i, 3) for i in range(EPISODES)], shards=4)
    return root


@pytest.fixture
def storage(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    with serve(source) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def get(
    root: Path, source: str = "gs://bucket/robotics", name: str = "made_up", **options: object
) -> Outcome:
    patience = Patience(attempts=3, first_delay=0.01)
    (outcome,) = download([name], DownloadConfig(source, root, patience=patience, **options))  # type: ignore[arg-type]
    return outcome


class TestByName:
    def test_a_copy_is_opened_by_its_name(self, storage: Storage, tmp_path: Path):
        assert get(tmp_path / "anywhere", copy=True).state == "verified"
        for name in ("openx:made_up", "made_up", "made_up/1.0.0", "openx:made_up/1.0.0"):
            assert len(vla_data.open_episodes(name)) == EPISODES

    def test_what_lies_in_the_data_directory_needs_no_register(self, tmp_path: Path):
        write_dataset(tmp_path / "VLA_DATA" / "mine" / "2.0.0", [make_episode(0, 3)])
        write_dataset(tmp_path / "VLA_DATA" / "plain", [make_episode(0, 3)])
        found = local_datasets()
        assert [(d.name, d.version, d.state) for d in found] == [
            ("mine", "2.0.0", "present"),
            ("plain", "", "present"),
        ]
        assert found[0].bytes > 1000
        assert len(vla_data.open_episodes("openx:mine")) == 1

    def test_a_path_that_exists_goes_before_a_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        write_dataset(tmp_path / "VLA_DATA" / "same", [make_episode(0, 3)])
        write_dataset(tmp_path / "same", [make_episode(i, 3) for i in range(2)])
        assert len(vla_data.open_episodes("same")) == 2
        assert len(vla_data.open_episodes("openx:same")) == 1

    def test_an_unknown_name_says_what_is_near_and_how_to_fetch_it(self, tmp_path: Path):
        write_dataset(tmp_path / "VLA_DATA" / "viola", [make_episode(0, 3)])
        with pytest.raises(
            UnknownNameError, match=r"did you mean 'viola'\?; or fetch it: vla data download vila"
        ):
            vla_data.open_episodes("openx:vila")
        with pytest.raises(UnknownNameError, match="did you mean 'viola'"):
            vla_data.open_episodes("vila")

    def test_what_is_gone_is_not_listed(self, tmp_path: Path):
        register(LocalDataset("gone", "1.0.0", str(tmp_path / "gone")))
        assert local_datasets() == []
        assert find_local("gone") is None

    def test_a_damaged_register_is_named(self):
        register_path().parent.mkdir(parents=True)
        register_path().write_text('{"datasets": [{"name": 1}]}')
        with pytest.raises(DataError, match="register of local data sets"):
            local_datasets()

    def test_many_processes_may_register_at_once(self, tmp_path: Path):
        code = (
            "import sys; from vla_data.openx.local import LocalDataset, register\n"
            "for i in range(10): register(LocalDataset(f'{sys.argv[1]}-{i}', '1.0.0', '/'))"
        )
        started = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
        assert [p.wait() for p in started] == [0] * 4
        assert len(read_json(register_path())["datasets"]) == 40


class TestInPlace:
    def test_a_directory_is_registered_where_it_is(self, source: Path, tmp_path: Path):
        outcome = get(tmp_path / "data", f"file://{source}")
        assert (outcome.state, outcome.mode) == ("verified", "in place")
        assert outcome.directory == str(source / "made_up" / "1.0.0")
        assert not (tmp_path / "data").exists()
        assert vla_data.open_episodes("made_up")[2].id == "episode-1"

    @pytest.mark.parametrize("below", ["", "made_up", "made_up/1.0.0"])
    def test_the_source_may_be_named_at_any_depth(self, source: Path, tmp_path: Path, below: str):
        assert get(tmp_path, str(source / below)).state == "verified"

    def test_damage_is_named(self, tmp_path: Path):
        path = write_dataset(tmp_path / "src" / "made_up" / "1.0.0", [make_episode(i, 3) for i in range(2)])
        shard = next(path.glob("*.tfrecord*"))
        content = bytearray(shard.read_bytes())
        content[3] ^= 1
        shard.write_bytes(content)
        assert "length is damaged" in get(tmp_path, str(tmp_path / "src")).reason

    def test_a_link_out_of_the_source_is_refused(self, source: Path, tmp_path: Path):
        path = tmp_path / "src" / "made_up" / "1.0.0"
        path.mkdir(parents=True)
        for file in (source / "made_up" / "1.0.0").iterdir():
            (path / file.name).symlink_to(file)
        assert "leads out" in get(tmp_path, str(tmp_path / "src"), copy=True).reason

    def test_a_part_cannot_be_registered(self, source: Path, tmp_path: Path):
        assert "cannot be registered in place" in get(tmp_path, str(source), shards="0").reason


class TestPart:
    @pytest.mark.parametrize("copy", [True, False])
    def test_some_shards_are_a_data_set_of_their_own(self, storage: Storage, tmp_path: Path, copy: bool):
        outcome = get(tmp_path, copy=copy, shards="1-2")
        assert (outcome.state, outcome.subset, outcome.episodes) == ("verified", True, 4)
        reader = vla_data.open_episodes("made_up")
        assert [reader[i].id for i in range(len(reader))] == [
            "episode-1",
            "episode-5",
            "episode-2",
            "episode-6",
        ]
        assert find_local("made_up") is not None
        manifest = load_manifest(tmp_path / "made_up" / "1.0.0")
        assert manifest is not None
        assert manifest.subset == {"train": (1, 2)}

    def test_so_many_episodes_are_whole_shards(self, storage: Storage, tmp_path: Path):
        outcome = get(tmp_path, copy=True, episodes=3)
        assert outcome.episodes == 4
        assert len(list((tmp_path / "made_up" / "1.0.0").glob("*.tfrecord*"))) == 2

    def test_it_grows_and_does_not_shrink(self, storage: Storage, tmp_path: Path):
        assert get(tmp_path, copy=True, shards="3").episodes == 2
        assert get(tmp_path, copy=True, shards="0").episodes == 4
        grown = get(tmp_path, copy=True)
        assert (grown.episodes, grown.subset) == (8, False)
        assert read_json(tmp_path / "made_up/1.0.0/dataset_info.json") == read_json(
            Path(str(find_local("made_up").path)) / "dataset_info.json"  # type: ignore[union-attr]
        )
        assert get(tmp_path, copy=True, shards="0").episodes == 8

    @pytest.mark.slow
    def test_tfds_reads_it(self, storage: Storage, tmp_path: Path):
        get(tmp_path, copy=True, shards="1,3")
        code = (
            "import sys, tensorflow_datasets as tfds\n"
            "data = tfds.builder_from_directory(sys.argv[1]).as_dataset(split='train')\n"
            "print(sum(1 for _ in data))"
        )
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "PATH": "",
            "HOME": str(tmp_path),
        }
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "made_up" / "1.0.0")],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ran.stdout.strip() == "4", ran.stderr[-2000:]

    def test_shards_there_are_not_are_named(self, storage: Storage, tmp_path: Path):
        assert "no such shards" in get(tmp_path, copy=True, shards="2-9").reason

    @pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1,,2", "99999999"])
    def test_numbers_that_are_none_are_refused(self, text: str):
        with pytest.raises(ConfigError, match="no shards"):
            parse_shards(text)

    def test_numbers(self):
        assert parse_shards("0-3, 7") == {0, 1, 2, 3, 7}


class TestStreamed:
    @pytest.fixture(params=["gs", "mirror"])
    def reader(self, request: pytest.FixtureRequest, storage: Storage, tmp_path: Path):
        address = "gs://bucket/robotics" if request.param == "gs" else storage.mirror
        assert get(tmp_path, address, "made_up/1.0.0").mode == "stream"
        return vla_data.open_episodes("made_up")

    def test_shards_are_fetched_when_they_are_read(self, reader, storage: Storage):
        assert [path for method, path, _ in storage.log if "tfrecord" in path and method == "GET"] == []
        before = storage.sent
        assert_same(reader[0], make_episode(0, 3))
        assert 0 < storage.sent - before < len(storage.objects[SHARD.format(0)].data) + 1
        again = storage.sent
        assert_same(pickle.loads(pickle.dumps(reader))[1], make_episode(4, 3))
        assert storage.sent == again  # the shard is in the cache

    def test_all_of_it_is_what_was_published(self, reader):
        ids = [reader[i].id for i in range(EPISODES)]
        assert sorted(ids) == [f"episode-{i}" for i in range(EPISODES)]
        assert reader.checksums() == []  # all shards would have to be fetched

    def test_the_cache_is_bounded_and_the_oldest_goes(
        self, reader, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ):
        size = max(len(storage.objects[SHARD.format(i)].data) for i in range(4))
        monkeypatch.setenv("VLA_CACHE_GB", str(2.2 * size / 1e9))
        held: list[int] = []
        for i in range(EPISODES):
            reader[i]
            held = [p.stat().st_size for p in cache_directory().glob("*/*") if not p.name.startswith(".")]
            assert sum(held) <= 2.2 * size
        assert len(held) == 2
        before = storage.sent
        assert vla_data.open_episodes("made_up")[0].id == "episode-0"  # it was thrown out, and comes again
        assert storage.sent > before

    def test_a_changed_shard_is_told(self, reader, storage: Storage):
        name = SHARD.format(2)
        storage.objects[name] = Stored(b"something else", 2000)
        with pytest.raises(ChangedError, match="since the data set was registered") as caught:
            reader[4]
        assert "register it again" in str(caught.value)

    def test_a_wrong_byte_is_fetched_again(self, reader, storage: Storage):
        storage.faults[SHARD.format(1)].append(Fault("flip", 900))
        assert reader[2].id == "episode-1"

    def test_a_copy_takes_its_place(self, reader, storage: Storage, tmp_path: Path):
        assert get(tmp_path, copy=True).mode == "copy"
        before = storage.sent
        assert (
            len([e.id for e in map(vla_data.open_episodes("made_up").read_series, range(EPISODES))])
            == EPISODES
        )
        assert storage.sent == before
        assert get(tmp_path).mode == "copy"  # and is not forgotten for a stream

    @pytest.mark.parametrize("text", ["none", "-1", "0", "nan", "inf"])
    def test_a_size_of_the_cache_that_is_none_is_refused(self, text: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("VLA_CACHE_GB", text)
        with pytest.raises(ConfigError, match="positive number"):
            cache_limit()
