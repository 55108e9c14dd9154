"""Series of a data set: what is read, cut, divided and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import SPEC, Reaching

from vla_data.errors import ConfigError, DataError
from vla_data.types import Episode, StateDim
from vla_data.usable import Skipped
from vla_ts import Trajectories, read_trajectories
from vla_ts.trajectories import state_spec


def made_up(lengths: list[int]) -> Trajectories:
    """Every number of every episode is another one."""
    rows = np.arange(sum(lengths) * 4, dtype=np.float32).reshape(-1, 4)
    return Trajectories("made up", SPEC, tuple(np.split(rows, np.cumsum(lengths)[:-1])))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 9))
def test_chunks_are_every_whole_run_and_no_run_crosses_episodes(lengths: list[int], horizon: int):
    data = made_up(lengths)
    expected = [
        e[i : i + horizon] for e in data.episodes if len(e) >= horizon for i in range(len(e) - horizon + 1)
    ]
    short = [e for e in data.episodes if len(e) < horizon]
    chunks = data.chunks(horizon)
    assert len(chunks) == len(expected) + len(short)
    found = {c.tobytes() for c in chunks}
    assert all(c.tobytes() in found for c in expected)
    for episode in short:  # one chunk, its last row repeated
        padded = np.concatenate([episode, np.repeat(episode[-1:], horizon - len(episode), axis=0)])
        assert padded.tobytes() in found


@given(st.lists(st.integers(5, 40), min_size=1, max_size=6), st.integers(1, 60))
def test_a_limit_keeps_every_nth_chunk_over_all_episodes(lengths: list[int], limit: int):
    data = made_up(lengths)
    every = data.chunks(3)
    stride = -(-len(every) // limit)
    np.testing.assert_array_equal(data.chunks(3, limit), every[::stride])


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 99))
def test_folds_measure_every_episode_once_and_never_learn_from_it(count: int, folds: int, seed: int):
    data = made_up([2] * count)
    if folds > count:
        with pytest.raises(ConfigError, match="folds"):
            data.folds(folds, seed)
        return
    held = []
    for learnt, measured in data.folds(folds, seed):
        ours, theirs = ({e.tobytes() for e in t.episodes} for t in (learnt, measured))
        assert not ours & theirs
        assert len(ours | theirs) == count
        held += [e.tobytes() for e in measured.episodes]
    assert sorted(held) == sorted(e.tobytes() for e in data.episodes)


def test_a_file_of_series_comes_back_the_same(tmp_path: Path):
    data = made_up([3, 1, 7])
    data.save(tmp_path / "series.npz")
    back = Trajectories.load(tmp_path / "series.npz")
    assert (back.name, back.spec, back.steps) == (data.name, data.spec, 11)
    for a, b in zip(back.episodes, data.episodes, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY"])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "series.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        Trajectories.load(tmp_path / "series.npz")


def test_reading_keeps_the_actions_and_their_meaning():
    source = Reaching(4)
    data = read_trajectories(source)
    assert (data.name, data.spec) == ("reaching", SPEC)
    for i, episode in enumerate(data.episodes):
        np.testing.assert_array_equal(episode, source[i].action)


def test_another_clock_is_another_meaning():
    slow = read_trajectories(Reaching(4), hz=20.0)
    assert slow.spec.control_hz == 20
    assert slow.spec.dims[0].high == 4
    whole = read_trajectories(Reaching(4))
    for a, b in zip(slow.episodes, whole.episodes, strict=True):
        assert len(a) == -(-len(b) // 4)
        np.testing.assert_allclose(a[:, :3].sum(0), b[:, :3].sum(0), atol=1e-3)


def test_states_are_series_too():
    data = read_trajectories(Reaching(2), "state")
    assert [(d.name, d.quantity, d.mode, d.unit) for d in data.spec.dims] == [
        ("x", "position", "absolute", "m")
    ]
    assert data.episodes[0].shape[1] == 1


def test_a_state_with_angles_says_their_form():
    angles = tuple(StateDim(n, "rad") for n in ("roll", "pitch", "yaw", "elbow"))
    spec = state_spec(replace(Reaching().robot, state=angles))
    assert spec.rotation == "euler_xyz"
    assert [d.quantity for d in spec.dims] == ["rotation", "rotation", "rotation", "joint"]
    with pytest.raises(DataError, match="without a state"):
        state_spec(replace(Reaching().robot, state=()))


class Broken(Reaching):
    """Episode 1 holds a NaN."""

    def __getitem__(self, index: int) -> Episode:
        episode = super().__getitem__(index)
        action = episode.action.copy()
        action[3, 1] = np.nan if index == 1 else action[3, 1]
        return replace(episode, action=action)


def test_episodes_that_cannot_be_used_are_counted_or_refused():
    with pytest.raises(DataError, match="reaching, episode 1"):
        read_trajectories(Broken(3))
    skipped: list[Skipped] = []
    data = read_trajectories(Broken(3), skip_corrupt=True, skipped=skipped)
    assert len(data.episodes) == 2
    assert [s.index for s in skipped] == [1]


@pytest.mark.parametrize("horizon", [0, -3])
def test_a_chunk_without_a_step_is_refused(horizon: int):
    with pytest.raises(ConfigError, match="one step"):
        made_up([4]).chunks(horizon)
