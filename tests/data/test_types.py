"""The vocabulary: episodes agree with themselves, specs are compared, fakes fit their spec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import DataError, SpecMismatchError
from vla_data.types import (
    ActionDim,
    ActionSpec,
    ArrayImages,
    CameraInput,
    Episode,
    InputSpec,
    RobotSpec,
    StateDim,
    stack_windows,
)


def action_spec(dim: int = 2) -> ActionSpec:
    names = ["x", "y", "z", "grip"][:dim]
    dims = tuple(ActionDim(n, "position", "delta", "world", "m", 0.05) for n in names)
    return ActionSpec(dims, control_hz=10.0)


def robot(dim: int = 2, state: int = 3) -> RobotSpec:
    return RobotSpec("arm", action_spec(dim), tuple(StateDim(f"s{i}") for i in range(state)))


def episode(length: int = 4, **changes: object) -> Episode:
    arrays = {
        "action": np.arange(2 * length, dtype=np.float32).reshape(length, 2),
        "state": np.zeros((length, 3), np.float32),
        "time": np.arange(length) / 10,
        "images": {"front": ArrayImages(np.full((length, 4, 5, 3), 7, np.uint8))},
        "series": {"reward": np.zeros(length, np.float32)},
    }
    return Episode("e0", robot(), **(arrays | changes), instruction="reach")  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"time": np.zeros(3)}, "time 3"),
        ({"state": np.zeros((5, 3), np.float32)}, "state 5"),
        ({"images": {"front": ArrayImages(np.zeros((3, 4, 5, 3), np.uint8))}}, "images/front 3"),
        ({"depth": {"front": np.zeros((1, 4, 5), np.float32)}}, "depth/front 1"),
        ({"series": {"reward": np.zeros(0, np.float32)}}, "series/reward 0"),
    ],
)
def test_an_array_of_another_length_is_refused_by_name(changes: dict, named: str):
    with pytest.raises(DataError) as caught:
        episode(4, **changes)
    assert named in str(caught.value.got)
    assert caught.value.where == "episode e0"


def test_steps_follow_the_columns():
    whole = episode(4)
    steps = list(whole.steps())
    assert len(whole) == len(steps) == 4
    assert [s.is_last for s in steps] == [False, False, False, True]
    assert [s.observation.time for s in steps] == [0.0, 0.1, 0.2, 0.3]
    np.testing.assert_array_equal(np.stack([s.action for s in steps]), whole.action)
    assert steps[2].observation.images["front"].shape == (4, 5, 3)
    assert steps[0].observation.instruction == "reach"
    assert steps[0].observation.privileged == {}


def test_an_empty_episode_has_no_step():
    assert list(episode(0).steps()) == []


def test_equal_specs_have_no_difference():
    assert action_spec().differences(action_spec()) == []
    action_spec().require_same(action_spec(), "anywhere")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"control_hz": 5.0}, "control_hz"),
        ({"rotation": "quaternion_xyzw"}, "rotation"),
        ({"gripper_closes": -1}, "gripper_closes"),
        ({"dims": action_spec(3).dims}, "action_dim: 2 != 3"),
        ({"dims": (action_spec().dims[0], replace(action_spec().dims[1], mode="absolute"))}, "dim 1"),
        ({"dims": (replace(action_spec().dims[0], scale=0.1), action_spec().dims[1])}, "dim 0"),
    ],
)
def test_each_difference_of_meaning_is_found_and_raised(change: dict, word: str):
    other = replace(action_spec(), **change)
    assert any(word in found for found in action_spec().differences(other))
    assert len(action_spec().differences(other)) == len(other.differences(action_spec())) == 1
    with pytest.raises(SpecMismatchError, match="two action specs disagree") as caught:
        action_spec().require_same(other, "codec and data")
    assert caught.value.where == "codec and data"
    assert word in str(caught.value.got)


def test_bounds_are_float32_per_dimension():
    spec = ActionSpec((ActionDim("a", "joint", "absolute", "joint", low=-2, high=3),), 1.0)
    assert (spec.low, spec.high) == (np.float32(-2), np.float32(3))
    assert spec.low.dtype == np.float32


@given(
    history=st.integers(1, 4),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    state=st.integers(0, 5),
    dim=st.integers(1, 4),
    depth=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_fake_window_fits_its_spec(
    history: int, size: tuple[int, int], state: int, dim: int, depth: bool, seed: int
):
    cameras = (CameraInput("front", *size, depth=depth), CameraInput("wrist", 3, 2))
    spec = InputSpec(robot(dim, state), cameras, action_horizon=8, history=history)
    window = spec.fake_window(seed, slot=2)
    assert len(window.observations) == history
    assert window.latest is window.observations[-1]
    assert window.past_actions.shape == (history - 1, dim)
    assert window.slot == 2
    times = [o.time for o in window.observations]
    assert times == sorted(times)
    for seen in window.observations:
        assert {k: v.shape for k, v in seen.images.items()} == {"front": (*size, 3), "wrist": (3, 2, 3)}
        assert seen.state.shape == (state,)
        assert list(seen.depth) == (["front"] if depth else [])
        assert seen.instruction
    again = spec.fake_window(seed, slot=2)
    np.testing.assert_array_equal(window.latest.images["front"], again.latest.images["front"])


def test_a_spec_without_instruction_gives_none():
    spec = InputSpec(robot(), (CameraInput("front", 2, 2),), 8, instruction=False)
    assert spec.fake_window().latest.instruction == ""


def test_windows_stack_batch_first():
    spec = InputSpec(robot(), (CameraInput("front", 4, 5),), action_horizon=8, history=2)
    windows = [spec.fake_window(s) for s in range(3)]
    stacked = stack_windows(windows, "front")
    assert stacked.shape == (3, 2, 4, 5, 3)
    np.testing.assert_array_equal(stacked[1, 0], windows[1].observations[0].images["front"])
