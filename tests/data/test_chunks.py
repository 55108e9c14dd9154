"""What a chunk is, above all at the end of an episode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.chunks import chunk_actions, pad_actions
from vla_data.errors import DataError


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 20), st.integers(0, 2**31))
def test_every_entry_is_the_action_of_its_step_or_the_last_one(time: int, dim: int, horizon: int, seed: int):
    action = np.random.default_rng(seed).normal(size=(time, dim)).astype(np.float32)
    chunks = chunk_actions(action, horizon)
    assert chunks.shape == (time, horizon, dim)
    assert chunks.dtype == np.float32
    for t in range(time):
        for h in range(horizon):
            np.testing.assert_array_equal(chunks[t, h], action[min(t + h, time - 1)])


def test_chunks_are_a_view_and_not_horizon_copies():
    action = np.zeros((1000, 7), np.float32)
    chunks = chunk_actions(action, 50)
    assert not chunks.flags.writeable
    assert chunks.base is not None
    assert len(pad_actions(action, 50)) == 1049


@pytest.mark.parametrize(("shape", "horizon"), [((0, 4), 16), ((5, 4), 0), ((5, 4), -1)])
def test_nothing_to_cut_is_an_error(shape: tuple[int, ...], horizon: int):
    with pytest.raises(DataError, match="no action chunks"):
        chunk_actions(np.zeros(shape, np.float32), horizon)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_vector_is_no_action_matrix():
    with pytest.raises(DataError, match="shape"):
        chunk_actions(np.zeros(5, np.float32), 2)
