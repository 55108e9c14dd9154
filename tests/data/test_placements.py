"""Placements of training, validation and evaluation do not meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.sim import SimConfig
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.sim.placements import SPLITS, WIDTH, placement_seed, split_of
from vla_data.types import Trial

index = st.integers(0, WIDTH - 1)
split = st.sampled_from(sorted(SPLITS))


@given(split, index, split, index)
def test_seeds_are_one_to_one_with_split_and_index(a: str, i: int, b: str, j: int) -> None:
    same = placement_seed(a, i) == placement_seed(b, j)  # type: ignore[arg-type]
    assert same == ((a, i) == (b, j))


@given(split, index)
def test_a_seed_tells_its_split_and_fits_numpy(name: str, i: int) -> None:
    seed = placement_seed(name, i)  # type: ignore[arg-type]
    assert split_of(seed) == name
    assert 0 <= seed < 2**32


@pytest.mark.usefixtures("unchecked_shapes")
def test_indices_outside_a_split_are_refused() -> None:
    for bad in (-1, WIDTH):
        with pytest.raises(ConfigError):
            placement_seed("train", bad)
    with pytest.raises(UnknownNameError):
        placement_seed("test", 0)  # type: ignore[arg-type]


def test_the_things_on_the_table_stand_elsewhere_in_evaluation() -> None:
    env = MetaWorldEnv(("reach", "drawer-open"), SimConfig(cameras=()))
    for task in env.tasks:
        drawn = {}
        for name in SPLITS:
            for i in range(12):
                env.reset([0], [Trial(task, placement_seed(name, i), "")])  # type: ignore[arg-type]
                drawn[name, i] = env.placement(0)
        pairs = [(a, b) for a in drawn for b in drawn if a < b]
        assert min(np.abs(drawn[a] - drawn[b]).max() for a, b in pairs) > 1e-6
