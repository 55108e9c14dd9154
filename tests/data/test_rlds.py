"""RLDS: TFDS opens what we write and reads the same, real data is read, damage told, nothing half left."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import CAMERAS, ROBOT, assert_same, make_episode, write_dataset

import vla_data
from vla_data.errors import DataError
from vla_data.files import read_json, write_json
from vla_data.formats.rlds import RldsReader, RldsWriter, finish_dataset, shard_path
from vla_data.formats.rlds.guess import guess
from vla_data.formats.rlds.schema import Schema
from vla_data.images import EncodedImages, encode
from vla_data.types import Camera, Episode

STEPS = (4, 1, 7)
BRIDGE = "../shared/data/rlds/bridge_dataset/1.0.0"
BRIDGE_CAMERAS = {"primary": "image_0", "secondary": "image_1", "tertiary": "image_2", "wrist": "image_3"}

PEER = """
import sys
import numpy as np, tensorflow_datasets as tfds
config = tfds.ReadConfig(interleave_cycle_length=1)
def flatten(value, prefix, out):
    if isinstance(value, dict):
        for k, v in value.items():
            flatten(v, f"{prefix}/{k}" if prefix else k, out)
    else:
        value = np.asarray(value)
        out[prefix] = value.astype("S") if value.dtype == object else value
for directory, split, file in zip(*[iter(sys.argv[1:])] * 3):
    out = {}
    builder = tfds.builder_from_directory(directory)
    for i, episode in enumerate(builder.as_dataset(split=split, read_config=config)):
        for t, step in enumerate(tfds.as_numpy(episode["steps"])):
            flatten(step, f"{i}/{t}", out)
        flatten(tfds.as_numpy(episode["episode_metadata"]), f"{i}/episode", out)
    np.savez(file, **out)
"""


def read_with_tfds(out: Path, splits: dict[Path, str]) -> dict[Path, dict[str, np.ndarray]]:
    """Every value as TFDS decodes it: episode/step/key. In a process of its own, as TensorFlow must be."""
    files = {directory: out / f"{i}.npz" for i, directory in enumerate(splits)}
    arguments = [str(x) for directory, split in splits.items() for x in (directory, split, files[directory])]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", PEER, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return {directory: dict(np.load(file)) for directory, file in files.items()}


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [make_episode(i, steps) for i, steps in enumerate(STEPS)]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory, episodes: list[Episode]) -> dict[str, Path]:
    """Our data sets, by the encoding of their images."""
    root = tmp_path_factory.mktemp("rlds")
    return {e: write_dataset(root / e / "1.0.0", episodes, image_encoding=e) for e in ("png", "jpeg")}


@pytest.fixture
def dataset(datasets: dict[str, Path]) -> Path:
    return datasets["png"]


@pytest.fixture(scope="module")
def peer(datasets: dict[str, Path], root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What TFDS reads: of our data sets everything, of the real one, where it is there, six episodes."""
    splits = dict.fromkeys(datasets.values(), "train")
    bridge = root / BRIDGE
    return read_with_tfds(
        tmp_path_factory.mktemp("peer"), splits | ({bridge: "train[:6]"} if bridge.is_dir() else {})
    )


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_tfds_opens_our_data_set_unchanged_and_reads_the_same(
    encoding: str, datasets: dict[str, Path], episodes: list[Episode], peer: dict
):
    theirs, reader = peer[datasets[encoding]], RldsReader.open(datasets[encoding])
    for i, original in enumerate(episodes):
        ours = reader[i]
        assert theirs[f"{i}/episode/episode_id"].item().decode() == original.id
        for t in range(len(original)):
            step = {k.removeprefix(f"{i}/{t}/"): v for k, v in theirs.items() if k.startswith(f"{i}/{t}/")}
            for camera in CAMERAS:
                np.testing.assert_array_equal(step[f"observation/{camera}"], ours.images[camera][t])
            np.testing.assert_array_equal(step["action"], original.action[t])
            np.testing.assert_array_equal(step["observation/state"], original.state[t])
            np.testing.assert_array_equal(step["observation/front_depth"], original.depth["front"][t])
            np.testing.assert_array_equal(step["series/pose/wrist"], original.series["pose/wrist"][t])
            assert step["series/phase"] == original.series["phase"][t]
            assert step["timestamp"] == original.time[t]
            assert step["reward"] == original.series["reward"][t]
            assert step["language_instruction"].item().decode() == original.instruction
            last = t == len(original) - 1
            flags = [bool(step[k]) for k in ("is_first", "is_last", "is_terminal")]
            assert flags == [t == 0, last, last and bool(original.metadata["success"])]


def test_the_real_bridge_set_reads_as_tfds_reads_it(shared: Path, root: Path, peer: dict):
    theirs, reader = peer[root / BRIDGE], RldsReader.open(shared / "data/rlds/bridge_dataset/1.0.0")
    for i in range(6):
        ours = reader[i]
        assert len(ours) > 1
        for t in range(len(ours)):
            step = f"{i}/{t + 1}/"  # the first step of every episode commands no motion and is dropped
            np.testing.assert_array_equal(theirs[step + "action"], ours.action[t])
            np.testing.assert_array_equal(theirs[step + "observation/state"], ours.state[t])
            assert theirs[step + "language_instruction"].item().decode() == ours.instruction
            for camera in ours.images:
                pixels = theirs[step + f"observation/{BRIDGE_CAMERAS[camera]}"]
                np.testing.assert_array_equal(pixels, ours.images[camera][t])


def test_the_bridge_set_speaks_our_vocabulary(shared: Path):
    reader = vla_data.open_episodes(shared / "data/rlds")
    episode = reader[0]
    assert (len(reader), reader.robot.name, reader.robot.action.control_hz) == (25, "widowx250", 5.0)
    assert list(episode.images) == list(BRIDGE_CAMERAS)
    assert reader.cameras["primary"] == Camera("primary", 64, 64)
    standard = reader.door.standard  # type: ignore[attr-defined]
    assert (standard.status, reader.robot.action.gripper_closes, reader.rate_assumed) == ("real", -1, False)
    assert episode.instruction == "put cup from counter or drying rack into sink"
    assert np.abs(episode.action[0, :6]).max() > 1e-4
    assert "episode_id" in episode.metadata


def test_an_unknown_data_set_is_read_by_its_names(shared: Path, tmp_path: Path):
    source = shared / "data/rlds/bridge_dataset/1.0.0"
    for path in source.iterdir():
        shutil.copy(path, tmp_path / path.name.replace("bridge_dataset", "unheard_of"))
    info = read_json(tmp_path / "dataset_info.json") | {"name": "unheard_of"}
    (tmp_path / "dataset_info.json").unlink()
    write_json(tmp_path / "dataset_info.json", info)
    reader = RldsReader.open(tmp_path)
    known = RldsReader.open(source)
    assert reader.rate_assumed
    assert reader.robot.name == "unknown"
    np.testing.assert_array_equal(reader[0].action[1:], known[0].action)
    np.testing.assert_array_equal(reader[0].state[1:], known[0].state)
    assert reader[0].instruction == known[0].instruction
    assert sorted(reader[0].images) == sorted(BRIDGE_CAMERAS.values())
    assert reader.door.standard.status == "guessed"  # type: ignore[attr-defined]


def test_a_data_set_without_an_action_is_refused_with_its_keys(dataset: Path):
    leaves = RldsReader.open(dataset).leaves
    with pytest.raises(DataError, match="looks like an action") as caught:
        guess({k: v for k, v in leaves.items() if k != "steps/action"}, "here")
    assert "steps/observation/state" in str(caught.value.got)


def test_shards_can_be_written_in_any_order_and_splits_added_later(tmp_path: Path):
    episodes = [make_episode(i, 2) for i in range(5)]
    for i in (2, 0, 1):
        with RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS, shard=(i, 3)) as writer:
            for episode in episodes[i::3]:
                writer.write(episode)
    assert finish_dataset(tmp_path) == {"train": 5}
    before = (tmp_path / "features.json").read_bytes()
    with RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS, split="val") as writer:
        writer.write(make_episode(9, 3))
    assert finish_dataset(tmp_path) == {"train": 5, "val": 1}
    assert (tmp_path / "features.json").read_bytes() == before
    assert [e.id for e in map(RldsReader.open(tmp_path).__getitem__, range(5))] == [
        f"episode-{i}" for i in (0, 3, 1, 4, 2)
    ]
    assert_same(RldsReader.open(tmp_path, "val")[0], make_episode(9, 3))
    assert not [p for p in os.listdir(tmp_path) if p.startswith(".")]


def test_more_shards_than_are_held_open_can_be_read_in_any_order(tmp_path: Path):
    episodes = [make_episode(i, 1) for i in range(20)]
    reader = RldsReader.open(write_dataset(tmp_path, episodes, shards=20))
    for i in (19, 0, 7, 19, -20, 3):
        assert reader[i].id == f"episode-{i % 20}"
    with pytest.raises(IndexError, match="episode 20 of 20"):
        reader[20]


def test_a_reader_pickles_after_use(dataset: Path):
    reader = RldsReader.open(dataset)
    first = reader[0]
    again = pickle.loads(pickle.dumps(reader))
    assert_same(again[0], first)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(first)).images["front"][0], first.images["front"][0]
    )


def test_series_are_read_without_looking_at_images(tmp_path: Path):
    directory = write_dataset(tmp_path, [make_episode(0, 6)])
    path = shard_path(directory, "made_up", "train", 0, 1)
    content = path.read_bytes()
    damaged = content.replace(b"\x89PNG", b"\x00PNG")
    assert damaged != content
    path.write_bytes(damaged)
    reader = RldsReader.open(directory)
    series = reader.read_series(0)
    assert_same(replace(series, images={}), replace(make_episode(0, 6), images={}, depth={}))
    with pytest.raises(DataError, match="record 0, byte 12"):
        reader[0]


def test_encoded_frames_are_passed_on_as_they_are(tmp_path: Path):
    episode = make_episode(0, 3)
    lossy = {
        name: EncodedImages([encode(frames[i], "jpeg", quality=60) for i in range(3)])
        for name, frames in episode.images.items()
    }
    directory = write_dataset(tmp_path, [replace(episode, images=lossy)], image_encoding="jpeg")
    assert_same(RldsReader.open(directory)[0], replace(episode, images=lossy))


def test_an_episodes_own_cameras_are_kept(tmp_path: Path):
    moved = CAMERAS | {"front": replace(CAMERAS["front"], pose=((1.0, 0.0), (0.0, 1.0)))}
    episodes = [make_episode(0, 2), make_episode(1, 2, cameras=moved)]
    reader = RldsReader.open(write_dataset(tmp_path, episodes))
    assert reader[0].cameras == CAMERAS
    assert reader[1].cameras == moved


def test_the_schema_survives_its_file(tmp_path: Path):
    schema = Schema.of(make_episode(0, 2), ROBOT, CAMERAS, "png")
    directory = write_dataset(tmp_path, [make_episode(0, 2)])
    assert RldsReader.open(directory).door.schema == schema  # type: ignore[attr-defined]


def test_reading_and_writing_import_neither_tensorflow_nor_its_data_sets():
    heavy = ("tensorflow", "tensorflow_datasets", "google", "torch")
    code = (
        "import json, sys, vla_data\n"
        "assert 'numpy' not in sys.modules\n"
        "import vla_data.formats.rlds.reader, vla_data.formats.rlds.writer, vla_data.explore.data_model\n"
        f"print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
