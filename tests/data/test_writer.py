"""What a writer of RLDS refuses, and what it leaves behind when it fails."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import CAMERAS, ROBOT, make_episode, write_dataset

from vla_data.errors import ConfigError, DataError, SpecMismatchError
from vla_data.formats.rlds import RldsReader, RldsWriter, finish_dataset
from vla_data.types import Camera, Episode


def write_one(directory: Path, episode: Episode, robot=ROBOT, cameras=CAMERAS) -> None:
    with RldsWriter(directory, "made_up", robot, cameras) as writer:
        writer.write(episode)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": np.full((2, 4), np.nan, np.float32)}, "action holds NaN"),
        ({"time": np.array([0.0, np.inf])}, "time holds NaN"),
        ({"action": np.zeros((2, 3), np.float32)}, "another width"),
        ({"images": {}}, "cameras differ"),
        ({"series": {}}, "series differs"),
        ({"depth": {}}, "depth differs"),
        ({"state": np.zeros((2, 2), np.float32)}, "state_dim differs"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused_and_nothing_is_left(
    tmp_path: Path, changes: dict, message: str
):
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path, [make_episode(0, 2), make_episode(1, 2, **changes)])
    assert os.listdir(tmp_path) == []


def test_another_robots_episode_is_refused(tmp_path: Path):
    other = replace(ROBOT, action=replace(ROBOT.action, control_hz=20.0))
    with pytest.raises(SpecMismatchError, match="control_hz"):
        write_one(tmp_path, make_episode(0, 2), other)


def test_a_frame_of_another_size_is_refused(tmp_path: Path):
    narrow = CAMERAS | {"wrist": Camera("wrist", 8, 16)}
    with pytest.raises(DataError, match="another size"):
        write_one(tmp_path, make_episode(0, 2), cameras=narrow)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("my-set", {}),
        ("made_up", {"split": "train-2"}),
        ("made_up", {"shard": (3, 3)}),
        ("made_up", {"cameras": {"state": Camera("state", 4, 4)}}),
        ("made_up", {"cameras": {"a/b": Camera("a/b", 4, 4)}}),
        ("made_up", {"cameras": {"front": Camera("back", 4, 4)}}),
    ],
)
def test_names_that_cannot_be_written_are_refused(tmp_path: Path, name: str, options: dict):
    cameras = options.pop("cameras", CAMERAS)
    with pytest.raises(ConfigError):
        RldsWriter(tmp_path, name, ROBOT, cameras, **options)
    assert os.listdir(tmp_path) == []


def test_a_series_named_inside_another_is_refused(tmp_path: Path):
    series = {"pose": np.zeros(2), "pose/wrist": np.zeros(2)}
    with pytest.raises(DataError, match="lies inside"):
        write_one(tmp_path, make_episode(0, 2, series=series))


@pytest.mark.usefixtures("unchecked_shapes")
def test_numbers_of_numpy_are_plain_metadata_and_nan_is_none(tmp_path: Path):
    episode = make_episode(0, 2, metadata={"won": np.bool_(True), "n": np.int64(3)})
    directory = write_dataset(tmp_path, [episode])
    metadata = RldsReader.open(directory)[0].metadata
    assert metadata == {"won": True, "n": 3}
    with pytest.raises(DataError, match="metadata"):
        write_one(tmp_path / "other", make_episode(0, 2, metadata={"loss": float("nan")}))


def test_an_empty_shard_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="without episodes"), RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS):
        pass
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_nothing_under_a_final_name(tmp_path: Path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(DataError, match="No space left"),
        RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS) as writer,
    ):
        writer.write(make_episode(0, 2))
    assert os.listdir(tmp_path) == []


def test_finishing_needs_every_shard_and_one_schema(tmp_path: Path):
    with pytest.raises(DataError, match="not those of one data set"):
        finish_dataset(tmp_path)
    for i, changes in ((0, {}), (2, {"depth": {}})):
        with RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS, shard=(i, 3)) as writer:
            writer.write(make_episode(i, 2, **changes))
    with pytest.raises(DataError, match="not complete") as caught:
        finish_dataset(tmp_path)
    assert caught.value.got == "0-of-3, 2-of-3"
    with RldsWriter(tmp_path, "made_up", ROBOT, CAMERAS, shard=(1, 3)) as writer:
        writer.write(make_episode(1, 2))
    with pytest.raises(DataError, match="different robots, cameras or columns") as caught:
        finish_dataset(tmp_path)
    assert "depth" in str(caught.value)
    assert not (tmp_path / "dataset_info.json").exists()
