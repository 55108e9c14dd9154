"""Motion read from actions: conventions differ, the movement is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.movements import DELTA, PICK, as_targets, movement, with_opposite_gripper

from vla_data.config import from_dict
from vla_data.errors import ConfigError
from vla_data.label.kinematic import KinematicConfig, gripper_cuts, kinematic_cuts, pick_cuts, window_jumps
from vla_data.label.motion import full_speed, motion_of
from vla_data.types import ActionDim, ActionSpec

TRUTH = [12, 22, 30, 40, 54]


def test_conventions_do_not_change_the_movement() -> None:
    episode = movement()
    motion = motion_of(episode)
    np.testing.assert_allclose(motion.travel, episode.action[:, :3])
    assert motion.axes == (0, 1, 2)
    assert motion.frame == "base"
    for other in (as_targets(episode), with_opposite_gripper(episode)):
        same = motion_of(other)
        np.testing.assert_allclose(same.travel[:-1], motion.travel[:-1], atol=1e-6)
        np.testing.assert_array_equal(same.closing, motion.closing)


def test_a_relative_gripper_command_holds_until_the_next() -> None:
    dims = (*DELTA.dims[:3], ActionDim("grip", "gripper", "delta", "none"))
    episode = movement()
    spec = replace(DELTA, dims=dims)
    action = np.zeros((9, 4), np.float32)
    action[:, 3] = [0, 0, 1, 0.02, 0, -1, 0, 0, 1]
    short = replace(
        episode,
        action=action,
        state=episode.state[:9],
        time=episode.time[:9],
        robot=replace(episode.robot, action=spec),
    )
    np.testing.assert_array_equal(motion_of(short).closing, [0, 0, 1, 1, 1, 0, 0, 0, 1])


def test_without_positions_the_joints_move_and_nothing_has_a_direction() -> None:
    spec = ActionSpec(tuple(ActionDim(f"j{i}", "joint", "absolute", "joint", "rad") for i in range(4)), 10.0)
    episode = movement()
    motion = motion_of(replace(episode, robot=replace(episode.robot, action=spec)))
    assert motion.travel.shape == (len(episode), 4)
    assert (motion.axes, motion.closing) == ((), None)
    assert not motion.grip_changes.any()


def test_small_turns_of_a_travelling_hand_count_little() -> None:
    turns = tuple(ActionDim(a, "rotation", "delta", "base", "rad") for a in ("roll", "pitch", "yaw"))
    spec = ActionSpec((*DELTA.dims[:3], *turns), 5.0, rotation="euler_xyz")
    rng = np.random.default_rng(0)
    base = movement()
    wobble = rng.normal(0, 0.005, (len(base), 3))
    action = np.concatenate([base.action[:, :3], wobble], axis=1).astype(np.float32)
    motion = motion_of(replace(base, action=action, robot=replace(base.robot, action=spec)))
    assert motion.metric
    assert motion.full_turn == pytest.approx(full_speed(motion.travel) / 0.1)
    assert np.abs(motion.features[:, 3:]).max() < 0.2
    assert full_speed(np.zeros((5, 3))) > 0


def test_cuts_lie_where_the_parts_meet() -> None:
    config = KinematicConfig()
    assert kinematic_cuts(motion_of(movement()), config) == TRUTH
    assert gripper_cuts(motion_of(movement()), config) == [22, 54]
    for seed in range(5):
        found = kinematic_cuts(motion_of(movement(noise=0.1, seed=seed)), config)
        assert len(found) == len(TRUTH)
        assert np.abs(np.array(found) - TRUTH).max() <= 1


def test_slowing_down_on_the_way_is_a_cut_of_its_own() -> None:
    speed = np.r_[np.linspace(0.2, 1, 10), np.linspace(1, 0.1, 10), np.linspace(0.1, 1, 10), np.ones(6)]
    parts = tuple((1, (0.02 * v, 0.0, 0.0), -1.0) for v in speed)
    motion = motion_of(movement(parts))
    assert kinematic_cuts(motion, KinematicConfig(change=5.0, dip=0.0)) == []
    assert kinematic_cuts(motion, KinematicConfig(change=5.0, dip=0.5)) in ([19], [20], [21])


def test_steady_motion_and_short_episodes_have_no_cut() -> None:
    config = KinematicConfig()
    assert kinematic_cuts(motion_of(movement(((30, (0.02, 0.0, 0.0), -1.0),))), config) == []
    assert kinematic_cuts(motion_of(movement(((30, (0.0, 0.0, 0.0), -1.0),))), config) == []
    for steps in (1, 2, 3):
        assert kinematic_cuts(motion_of(movement(((steps, (0.02, 0.0, 0.0), -1.0),))), config) == []


@given(st.floats(0.01, 100), st.integers(0, 20))
def test_speed_as_a_whole_does_not_matter(factor: float, seed: int) -> None:
    slow = movement(noise=0.2, seed=seed)
    scale = np.array([factor, factor, factor, 1], np.float32)
    fast = replace(slow, action=slow.action * scale)
    assert kinematic_cuts(motion_of(fast), KinematicConfig()) == kinematic_cuts(
        motion_of(slow), KinematicConfig()
    )


@given(st.lists(st.floats(0, 3), min_size=1, max_size=50), st.integers(1, 6))
def test_cuts_keep_their_distance(scores: list[float], least: int) -> None:
    cuts = pick_cuts(np.array(scores), least)
    assert all(b - a >= least for a, b in zip([0, *cuts], [*cuts, len(scores)], strict=True)) or not cuts
    assert all(scores[c] >= 1 for c in cuts)
    highest = [c for c in range(least, len(scores) - least + 1) if scores[c] >= 1]
    assert bool(cuts) == bool(highest)


def test_a_jump_is_the_difference_of_the_means() -> None:
    features = np.array([[0.0], [0.0], [1.0], [3.0], [1.0]])
    np.testing.assert_allclose(window_jumps(features, 2), [0, 0.5, 2.0, 1.5, 1.0])
    assert PICK[0][0] == TRUTH[0]


def test_thresholds_that_make_no_sense_are_refused() -> None:
    for wrong in ({"window": 0}, {"change": 0.0}, {"gripper": -1.0}, {"min_steps": 0}):
        with pytest.raises(ConfigError):
            from_dict(KinematicConfig, wrong)
