"""From an address to one data set: parents, file:// and what is said when there is none or several."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.data.episodes import make_episode, write_dataset

import vla_data
from vla_data.errors import ConfigError, DataError, UnknownNameError


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "made_up" / "1.0.0", [make_episode(i, 1) for i in range(4)])


def test_a_data_set_is_found_below_its_parents_and_by_address(whole: Path):
    for uri in (whole, whole.parent, whole.parent.parent, f"file://{whole}", str(whole)):
        assert len(vla_data.open_episodes(uri)) == 4


def test_a_mistyped_data_set_or_split_names_the_nearest(whole: Path):
    with pytest.raises(UnknownNameError, match="did you mean 'made_up'"):
        vla_data.open_episodes(whole.parent.parent / "madeup")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        vla_data.open_episodes(whole, "trian")
    with pytest.raises(UnknownNameError, match="file://"):
        vla_data.open_episodes("gs://bucket/made_up")


def test_several_data_sets_or_none_are_told(whole: Path):
    shutil.copytree(whole, whole.parent / "2.0.0")
    with pytest.raises(ConfigError, match=r"made_up/1\.0\.0, made_up/2\.0\.0"):
        vla_data.open_episodes(whole.parent.parent)
    (whole / "empty").mkdir()
    with pytest.raises(DataError, match="no data set is here"):
        vla_data.open_episodes(whole / "empty")


def test_hidden_directories_are_not_looked_into(whole: Path):
    shutil.copytree(whole, whole.parent / ".2.0.0.part")
    assert len(vla_data.open_episodes(whole.parent)) == 4
