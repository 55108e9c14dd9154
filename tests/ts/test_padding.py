"""Robots of different width in common columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import SPEC

from vla_data.errors import DataError
from vla_data.types import ActionDim, ActionSpec
from vla_ts.padding import ORDER, DimLayout

TURNS = tuple(ActionDim(n, "rotation", "delta", "base", "rad") for n in ("roll", "pitch", "yaw"))
SEVEN = ActionSpec((*SPEC.dims[:3], *TURNS, SPEC.dims[3]), 5.0, "euler_xyz", gripper_closes=1)
SIX_JOINTS = ActionSpec(tuple(ActionDim(f"j{i}", "joint", "absolute", "joint") for i in range(6)), 50.0)
LAYOUT = DimLayout.of([SPEC, SEVEN, SIX_JOINTS])


def test_the_same_meaning_shares_a_column():
    assert LAYOUT.columns == ("position",) * 3 + ("rotation",) * 3 + ("joint",) * 6 + ("gripper",)
    assert LAYOUT.places(SPEC) == (0, 1, 2, 12)
    assert LAYOUT.places(SEVEN) == (0, 1, 2, 3, 4, 5, 12)
    assert LAYOUT.places(SIX_JOINTS) == (6, 7, 8, 9, 10, 11)


@given(st.lists(st.sampled_from(ORDER), min_size=1, max_size=9), st.integers(0, 99))
def test_padded_and_taken_out_again_it_is_the_same(quantities: list, seed: int):
    dims = tuple(replace(SPEC.dims[0], name=str(i), quantity=q) for i, q in enumerate(quantities))
    spec = ActionSpec(dims, 10.0)
    layout = DimLayout.of([SPEC, spec])
    chunks = np.random.default_rng(seed).normal(size=(3, 4, len(dims))).astype(np.float32)
    padded, mask = layout.pad(chunks, spec)
    assert mask.sum() == len(dims)
    assert not padded[:, :, ~mask].any()
    np.testing.assert_array_equal(layout.unpad(padded, spec), chunks)


def test_a_robot_with_more_is_unknown():
    with pytest.raises(DataError, match="unknown embodiment") as caught:
        DimLayout.of([SPEC]).places(SEVEN)
    assert "roll, pitch, yaw" in str(caught.value)


@pytest.mark.usefixtures("unchecked_shapes")
def test_chunks_of_another_width_are_refused():
    with pytest.raises(DataError, match="another width"):
        LAYOUT.pad(np.zeros((2, 3, 7), np.float32), SPEC)
