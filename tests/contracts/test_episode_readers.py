"""Every reader keeps the contract. A new format joins with one line in `READERS`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tests.data.demonstrations import write_libero, write_robomimic
from tests.data.episodes import CAMERAS, ROBOT, make_episode, write_dataset

from vla_data import open_episodes
from vla_data.errors import UnknownNameError
from vla_data.formats import FORMATS
from vla_data.formats.describe import DescribedReader
from vla_data.formats.lerobot import LeRobotWriter
from vla_data.protocols import EpisodeReader, EpisodeSource
from vla_data.types import Episode

EPISODES = 4


def native_rlds(directory: Path, shared: Path) -> Path:
    return write_dataset(directory / "made_up", [make_episode(i, 3 + i) for i in range(EPISODES)], shards=2)


def foreign_rlds(directory: Path, shared: Path) -> Path:
    return shared / "data/rlds/bridge_dataset/1.0.0"


def native_lerobot(directory: Path, images: Literal["keep", "video"]) -> Path:
    with LeRobotWriter(directory / "made_up", "made_up", ROBOT, CAMERAS, images=images) as writer:
        for i in range(EPISODES):
            writer.write(make_episode(i, 3 + i))
    return directory / "made_up"


def foreign_lerobot(directory: Path, shared: Path) -> Path:
    root = native_lerobot(directory, "video")
    (root / "meta/vla.json").unlink()
    return root


@dataclass(frozen=True)
class Case:
    """How to come by a data set of a format, with at least `EPISODES` episodes in split train."""

    format: str
    make: Callable[[Path, Path], Path]


READERS = {
    "rlds": Case("rlds", native_rlds),
    "rlds of others": Case("rlds", foreign_rlds),
    "lerobot with images": Case("lerobot", lambda directory, _: native_lerobot(directory, "keep")),
    "lerobot with video": Case("lerobot", lambda directory, _: native_lerobot(directory, "video")),
    "lerobot of others": Case("lerobot", foreign_lerobot),
    "robomimic": Case("hdf5", lambda directory, _: write_robomimic(directory / "lift.hdf5", EPISODES)),
    "libero": Case("hdf5", lambda directory, _: write_libero(directory / "suite", files=2, episodes=2)),
}


@pytest.fixture(params=READERS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    case = READERS[request.param]
    shared = request.getfixturevalue("shared") if case.make is foreign_rlds else tmp_path
    return case.make(tmp_path, shared)


@pytest.fixture
def reader(path: Path) -> DescribedReader:
    found = open_episodes(path)
    assert isinstance(found, DescribedReader)
    return found


def test_every_format_is_tried():
    assert {case.format for case in READERS.values()} == set(FORMATS)


def test_it_is_a_source_and_a_reader(reader: DescribedReader):
    assert isinstance(reader, EpisodeSource)
    assert isinstance(reader, EpisodeReader)
    assert len(reader) >= EPISODES
    assert reader.name


def test_episodes_fit_the_robot_and_the_cameras(reader: DescribedReader):
    for i in range(EPISODES):
        episode = reader[i]
        assert episode.robot == reader.robot
        assert len(episode) > 0
        assert episode.action.shape == (len(episode), reader.robot.action.dim)
        assert episode.state.shape == (len(episode), len(reader.robot.state))
        assert episode.action.dtype == episode.state.dtype == np.float32
        assert episode.time.dtype == np.float64
        assert (np.diff(episode.time) > 0).all()
        assert set(episode.images) == set(reader.cameras)
        for name, frames in episode.images.items():
            camera = reader.cameras[name]
            for t in (0, len(frames) - 1):
                assert frames[t].shape == (camera.height, camera.width, 3)
                assert frames[t].dtype == np.uint8


def test_ids_are_unique_and_stay(reader: DescribedReader):
    ids = [reader[i].id for i in range(len(reader))]
    assert len(set(ids)) == len(ids)
    assert [reader[i].id for i in range(len(reader))] == ids


def test_reading_out_of_order_gives_the_same(reader: DescribedReader):
    forward = [reader[i] for i in range(EPISODES)]
    for i in (3, 0, 2, 1):
        assert_equal(reader[i], forward[i])
    assert_equal(reader[-1], reader[len(reader) - 1])


def test_an_index_outside_is_an_index_error(reader: DescribedReader):
    for index in (len(reader), -len(reader) - 1):
        with pytest.raises(IndexError):
            reader[index]
        with pytest.raises(IndexError):
            reader.read_series(index)


def test_series_are_those_of_the_episode_and_hold_no_image(reader: DescribedReader):
    for i in range(EPISODES):
        series, episode = reader.read_series(i), reader[i]
        assert not series.images
        assert not series.depth
        assert_equal(series, episode)


def test_arrays_can_be_changed_without_changing_the_source(reader: DescribedReader):
    before = reader[0].action.copy()
    for episode in (reader[0], reader.read_series(0)):
        episode.action[:] = -1
        episode.state[:] = -1
    np.testing.assert_array_equal(reader[0].action, before)


def test_it_pickles_before_and_after_use(reader: DescribedReader):
    fresh = pickle.loads(pickle.dumps(reader))
    episode = reader[1]
    used = pickle.loads(pickle.dumps(reader))
    for other in (fresh, used):
        assert len(other) == len(reader)
        assert_equal(other[1], episode)
    assert_equal(pickle.loads(pickle.dumps(episode)), episode)


def test_an_episode_outlives_its_reader(path: Path):
    reader = open_episodes(path)
    episode = reader[0]
    expected = {name: frames[0].copy() for name, frames in episode.images.items()}
    for i in range(len(reader)):
        assert len(reader[i])
    del reader
    for name, frame in expected.items():
        np.testing.assert_array_equal(episode.images[name][0], frame)


def test_an_unknown_split_is_named(path: Path):
    with pytest.raises(UnknownNameError, match="split"):
        open_episodes(path, "no such split")


def test_it_describes_itself(reader: DescribedReader):
    keys = [row.key for row in reader.feature_rows()]
    assert len(set(keys)) == len(keys)
    roles = {row.role for row in reader.feature_rows()}
    assert "action" in roles
    assert {f"camera {name}" for name in reader.cameras} <= roles
    assert {row.name: row.episodes for row in reader.split_rows()}["train"] == len(reader)
    assert len(reader.checksums()) == len(reader)


def assert_equal(got: Episode, expected: Episode) -> None:
    assert (got.id, got.instruction, got.substeps) == (expected.id, expected.instruction, expected.substeps)
    for name in ("action", "state", "time"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), name, strict=True)
    for name, values in expected.series.items():
        np.testing.assert_array_equal(got.series[name], values, name, strict=True)
    for name, frames in got.images.items():
        np.testing.assert_array_equal(frames[0], expected.images[name][0], name)
