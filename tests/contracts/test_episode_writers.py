"""Every writer keeps the contract. A new format joins with one line in `WRITERS`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.episodes import CAMERAS, ROBOT, assert_same, make_episode

from vla_data import open_episodes
from vla_data.errors import DataError
from vla_data.formats.lerobot import LeRobotWriter
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.protocols import EpisodeWriter
from vla_data.types import Episode


def rlds(directory: Path, encoding: Literal["png", "jpeg"] = "png") -> EpisodeWriter:
    return RldsWriter(directory, "made_up", ROBOT, CAMERAS, image_encoding=encoding)


def finish_rlds(directory: Path) -> None:
    finish_dataset(directory)


def lerobot(directory: Path, images: Literal["png", "jpeg", "video"]) -> EpisodeWriter:
    return LeRobotWriter(directory, "made_up", ROBOT, CAMERAS, images=images)


def whole_by_itself(directory: Path) -> None:
    assert (directory / "meta/info.json").is_file()


# A writer of one split in one file, what makes a data set of it, and whether pixels come back bit for bit.
Case = tuple[Callable[[Path], EpisodeWriter], Callable[[Path], None], bool]
WRITERS: dict[str, Case] = {
    "rlds with png": (rlds, finish_rlds, True),
    "rlds with jpeg": (lambda directory: rlds(directory, "jpeg"), finish_rlds, False),
    "lerobot with png": (lambda directory: lerobot(directory, "png"), whole_by_itself, True),
    "lerobot with jpeg": (lambda directory: lerobot(directory, "jpeg"), whole_by_itself, False),
    "lerobot with video": (lambda directory: lerobot(directory, "video"), whole_by_itself, False),
}


@pytest.fixture(params=WRITERS)
def case(request: pytest.FixtureRequest) -> Case:
    return WRITERS[request.param]


def write(directory: Path, case: Case, episodes: list[Episode]) -> Path:
    make, finish, _ = case
    with make(directory) as writer:
        for episode in episodes:
            writer.write(episode)
    finish(directory)
    return directory


def test_it_is_a_writer(case: Case, tmp_path: Path):
    writer = case[0](tmp_path)
    assert isinstance(writer, EpisodeWriter)
    writer.write(make_episode(0, 2))
    writer.close()
    case[1](tmp_path)
    assert len(open_episodes(tmp_path)) == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=4, unique=True), data=st.data())
def test_what_is_written_comes_back(case: Case, tmp_path_factory, seeds: list[int], data: st.DataObject):
    directory = tmp_path_factory.mktemp("written")
    episodes = [
        replace(
            make_episode(seed, data.draw(st.integers(1, 6))),
            instruction=data.draw(st.text(max_size=20)),
            metadata={"text": data.draw(st.text(max_size=8)), "number": data.draw(st.floats(-1e9, 1e9))},
        )
        for seed in seeds
    ]
    reader = open_episodes(write(directory, case, episodes))
    assert len(reader) == len(episodes)
    for i, episode in enumerate(episodes):
        assert_same(reader[i], episode, pixels=case[2])


def test_colours_are_not_swapped_nor_pictures_turned(case: Case, tmp_path: Path):
    frames = {name: np.zeros((3, c.height, c.width, 3), np.uint8) for name, c in CAMERAS.items()}
    for name in frames:
        frames[name][:, :8, :8] = (250, 10, 120)
        frames[name][:, 8:, 8:] = (10, 200, 30)
    episode = make_episode(0, 3)
    images = {name: replace(episode.images[name], frames=f) for name, f in frames.items()}  # type: ignore[type-var]
    read = open_episodes(write(tmp_path, case, [replace(episode, images=images)]))[0]
    for name, expected in frames.items():
        assert np.abs(read.images[name][1].astype(int) - expected[1]).mean() < 8  # 4:2:0 colour runs at edges


def test_nothing_is_under_a_final_name_before_close_nor_after_an_error(case: Case, tmp_path: Path):
    writer = case[0](tmp_path)
    writer.write(make_episode(0, 2))
    assert [p for p in os.listdir(tmp_path) if not p.endswith(".part")] == []
    error = RuntimeError("the simulator stopped")
    writer.__exit__(RuntimeError, error, None)
    assert os.listdir(tmp_path) == []


def test_an_episode_without_steps_is_refused(case: Case, tmp_path: Path):
    with pytest.raises(DataError, match="without steps"):
        write(tmp_path, case, [make_episode(0, 0)])
    assert os.listdir(tmp_path) == []


def test_writing_again_replaces(case: Case, tmp_path: Path):
    write(tmp_path, case, [make_episode(0, 2)])
    write(tmp_path, case, [make_episode(1, 2), make_episode(2, 2)])
    assert [open_episodes(tmp_path)[i].id for i in range(2)] == ["episode-1", "episode-2"]
