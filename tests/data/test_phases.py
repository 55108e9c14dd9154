"""Phases of demonstrations: where they come from, what is made of them, and that they change nothing."""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.phases import MIN_STEPS, Phase, PhasedPolicy, runs, substeps, without_flicker
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import RandomPolicy, SimConfig, make_expert
from vla_data.sim.branches import branching
from vla_data.sim.metaworld import ROBOT, TASKS, MetaWorldEnv
from vla_data.sim.phase_texts import PHASES, phase_texts
from vla_data.types import SubStep, Trial

RECORD = RolloutConfig(execute=1, noise=0.1, steps_after_success=3, record=True)


@pytest.fixture(scope="module")
def env() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(("drawer-open", "basketball"), SimConfig(cameras=()), num_envs=2)
    yield env
    env.close()


def wheel_policy(task: str) -> type:
    return importlib.import_module("metaworld.policies").ENV_POLICY_MAP[f"{task}-v3"]


def test_every_task_has_a_text_for_every_branch_of_its_expert() -> None:
    assert set(PHASES) == set(TASKS)
    counts = {task: (len(phase_texts(task)), branching(wheel_policy(task)).targets) for task in TASKS}
    assert {task: c for task, c in counts.items() if c[0] != c[1]} == {}


@pytest.mark.parametrize("task", TASKS)
def test_noting_branches_changes_no_bit_of_an_action(task: str) -> None:
    rng = np.random.default_rng(0)
    kind = wheel_policy(task)
    noted = branching(kind)
    assert noted.policy is not kind
    theirs, ours = kind(), noted.policy()
    taken = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(40):
            vector = rng.normal(0, 0.3, 39)
            assert theirs.get_action(vector.copy()).tobytes() == ours.get_action(vector.copy()).tobytes()
            taken.add(noted.taken["target"])
    assert taken <= set(range(noted.targets))


def test_branches_are_those_of_the_source() -> None:
    """Basketball by hand: above the ball, down, up, over; the gripper closes within 15 cm above the ball."""
    noted = branching(wheel_policy("basketball"))
    policy, vector = noted.policy(), np.zeros(39)
    vector[4:7] = 0.3, 0.6, 0.03  # ball
    vector[-3:] = 0.0, 0.9, 0.25  # hoop
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for hand in ((0, 0.6, 0.2), (0.3, 0.6, 0.3), (0.3, 0.6, 0.1), (0.3, 0.6, 0.04)):
            vector[:3] = hand
            policy.get_action(vector)
            found.append((noted.taken["target"], noted.taken["gripper"]))
    assert found == [(0, 0), (1, 0), (1, 1), (2, 1)]


@pytest.mark.parametrize("task", ["drawer-open", "basketball"])
def test_a_recorded_demonstration_carries_its_phases(env: MetaWorldEnv, task: str) -> None:
    result = next(rollout(env, make_expert(env), [Trial(task, 5, "do it")], RECORD))
    episode = result.episode
    assert episode is not None
    phase = episode.series["phase"]
    assert phase.dtype == np.int32
    assert phase.shape == (len(episode),)
    assert episode.substeps[0].start == 0
    assert episode.substeps[-1].stop == len(episode)
    for one, following in itertools.pairwise(episode.substeps):
        assert one.stop == following.start
        assert one.stop - one.start >= MIN_STEPS
    assert {s.text.removeprefix("close the gripper and ") for s in episode.substeps} <= set(phase_texts(task))


def test_the_gripper_closes_where_the_text_says_so(env: MetaWorldEnv) -> None:
    episode = next(rollout(env, make_expert(env), [Trial("basketball", 6, "dunk it")], RECORD)).episode
    assert episode is not None
    closing = [s for s in episode.substeps if s.text.startswith("close the gripper and")]
    assert [s.text for s in closing] == ["close the gripper and lower onto the ball"]
    assert (episode.action[: closing[0].start, 3] < 0).all()
    assert (episode.action[closing[0].start :, 3] > 0).all()


def test_a_policy_without_phases_records_none(env: MetaWorldEnv) -> None:
    policy = RandomPolicy(env.robot)
    assert not isinstance(policy, PhasedPolicy)
    record = RolloutConfig(max_steps=4, record=True)
    episode = next(rollout(env, policy, [Trial("drawer-open", 5, "")], record)).episode
    assert episode is not None
    assert "phase" not in episode.series
    assert episode.substeps == ()


def test_recording_changes_nothing_that_happens(env: MetaWorldEnv) -> None:
    """Phases are asked for only when recording: the run without is as long and succeeds as well."""
    trial = Trial("basketball", 7, "")
    recorded = next(rollout(env, make_expert(env), [trial], RECORD))
    rehearsed = next(rollout(env, make_expert(env), [trial], replace(RECORD, record=False)))
    assert rehearsed.episode is None
    assert (rehearsed.steps, rehearsed.reward) == (recorded.steps, recorded.reward)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 6))
def test_flicker_goes_and_nothing_else(numbers: list[int], least: int) -> None:
    kept = without_flicker(numbers, least)
    lengths = [b - a for a, b in runs(kept)]
    assert len(kept) == len(numbers)
    assert set(kept) <= set(numbers)
    assert len(lengths) == 1 or min(lengths) >= least
    np.testing.assert_array_equal(without_flicker(kept, least), kept)
    if min(b - a for a, b in runs(numbers)) >= least:
        np.testing.assert_array_equal(kept, numbers)


def test_flicker_goes_to_the_longer_neighbour() -> None:
    assert without_flicker([0] * 5 + [1] + [0] * 4).tolist() == [0] * 10
    assert without_flicker([0] * 4 + [1, 1] + [2] * 5).tolist() == [0] * 4 + [2] * 7
    assert without_flicker([0] * 4 + [1, 0] * 2 + [0] * 2).tolist() == [0] * 10
    assert without_flicker([3, 4]).tolist() in ([3, 3], [4, 4])


def test_what_the_gripper_does_is_said_where_it_changes() -> None:
    phases = [Phase(0, "reach")] * 4 + [Phase(1, "hold")] * 4 + [Phase(0, "reach")] * 4
    action = np.zeros((12, 4), np.float32)
    action[:, 3] = [-1] * 4 + [0.6] * 4 + [0.5] * 4
    assert substeps(phases, action, ROBOT.action) == (
        SubStep(0, 4, "reach"),
        SubStep(4, 8, "close the gripper and hold"),
        SubStep(8, 12, "reach"),
    )
    action[8:, 3] = -1
    assert substeps(phases, action, ROBOT.action)[-1].text == "open the gripper and reach"
    assert substeps([], action[:0], ROBOT.action) == ()
