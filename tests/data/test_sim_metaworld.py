"""The Meta-World adapter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vla_data.errors import SimError, UnknownNameError
from vla_data.sim import SimConfig, make_expert
from vla_data.sim.metaworld import CONTROL_HZ, PRIVILEGED, TASKS, MetaWorldEnv
from vla_data.types import ObservationWindow, Trial

BLIND = SimConfig(cameras=())
SAMPLE = ("reach", "drawer-open", "pick-place-wall", "assembly", "sweep-into")


@pytest.fixture(scope="module")
def env() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(TASKS, BLIND, num_envs=3)
    yield env
    env.close()


def follow(env: MetaWorldEnv, slot: int, trial: Trial, steps: int, seed: int | None = None) -> np.ndarray:
    """Everything an expert could see over the first steps of a trial, driven by the expert or at random."""
    env.reset([slot], [trial])
    expert = make_expert(env)
    expert.reset([slot], [0])
    rng = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        observation = env.observe([slot], images=False, privileged=True)[0]
        seen.append(observation.privileged[PRIVILEGED])
        window = ObservationWindow((observation,), np.zeros((0, 4), np.float32), slot)
        action = expert.infer([window])[0].actions[0]
        drawn = rng.uniform(-1, 1, 4).astype(np.float32)
        env.step([slot], (action if seed is None else drawn)[None])
    return np.array(seen)


def test_the_tasks_are_those_of_the_wheel() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    from metaworld.policies import ENV_POLICY_MAP

    assert {f"{task}-v3" for task in TASKS} == set(ALL_V3_ENVIRONMENTS) == set(ENV_POLICY_MAP)
    assert len(TASKS) == 50


def test_the_spec_says_what_the_simulator_does(env: MetaWorldEnv) -> None:
    env.reset([0], [Trial("reach", 1, "")])
    simulator = env._slots[0].env
    assert 1 / simulator.dt == pytest.approx(CONTROL_HZ) == env.robot.action.control_hz
    before = simulator.data.mocap_pos.copy()
    env.step([0], np.array([[1, -0.5, 0.25, 0]], np.float32))
    moved = (simulator.data.mocap_pos - before)[0]
    scales = np.array([d.scale for d in env.robot.action.dims[:3]])
    np.testing.assert_allclose(moved, np.array([1, -0.5, 0.25]) * scales, atol=1e-9)


def test_a_positive_gripper_action_closes(env: MetaWorldEnv) -> None:
    opening = {}
    for sign in (-1.0, 1.0):
        env.reset([0], [Trial("reach", 1, "")])
        for _ in range(20):
            env.step([0], np.array([[0, 0, 0, sign]], np.float32))
        opening[sign] = env.observe([0])[0].state[3]
    assert env.robot.action.gripper_closes == 1
    assert opening[1.0] < opening[-1.0] - 0.2


def test_the_state_holds_the_hand_and_no_object(env: MetaWorldEnv) -> None:
    """Two placements differ in their objects and not in what the encoders say."""
    env.reset([0, 1], [Trial("drawer-open", 1, ""), Trial("drawer-open", 2, "")])
    a, b = env.observe([0, 1], privileged=True)
    assert [d.name for d in env.robot.state] == ["hand_x", "hand_y", "hand_z", "gripper_opening"]
    np.testing.assert_allclose(a.state, b.state, atol=1e-6)
    assert np.abs(a.privileged[PRIVILEGED] - b.privileged[PRIVILEGED]).max() > 0.01
    hand = env._slots[0].env.data.body("hand").xpos
    np.testing.assert_allclose(a.state[:3], hand, atol=1e-3)


def test_privileged_state_comes_only_when_asked_for(env: MetaWorldEnv) -> None:
    env.reset([0], [Trial("reach", 1, "")])
    assert env.observe([0])[0].privileged == {}
    assert env.observe([0], privileged=True)[0].privileged[PRIVILEGED].shape == (39,)


@pytest.mark.parametrize("task", SAMPLE)
def test_a_trial_is_the_same_whatever_the_slot_did_before(env: MetaWorldEnv, task: str) -> None:
    check_determinism(env, task, 25)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_the_same_whatever_the_slot_did_before(env: MetaWorldEnv, task: str) -> None:
    check_determinism(env, task, 60)


def check_determinism(env: MetaWorldEnv, task: str, steps: int) -> None:
    first = follow(env, 0, Trial(task, 5, ""), steps)
    follow(env, 0, Trial(task, 9, ""), 2 * steps)
    follow(env, 0, Trial("reach", 9, ""), 3)
    follow(env, 0, Trial(task, 11, ""), steps, seed=1)
    np.testing.assert_array_equal(follow(env, 0, Trial(task, 5, ""), steps), first)
    np.testing.assert_array_equal(follow(env, 2, Trial(task, 5, ""), steps), first)
    other = follow(env, 1, Trial(task, 6, ""), 1)
    assert np.abs(other - first[:1]).max() > 1e-4


def test_the_goal_stands_where_it_is_from_the_first_picture_on(env: MetaWorldEnv) -> None:
    for task in ("reach", "push", "pick-place", "window-open"):
        env.reset([0], [Trial(task, 3, "")])
        simulator = env._slots[0].env
        for name, target in simulator._target_site_config:
            np.testing.assert_allclose(simulator.data.site(name).xpos, target, atol=1e-6)


def test_an_episode_ends_at_its_horizon_and_then_keeps_still(env: MetaWorldEnv) -> None:
    env.reset([0], [Trial("reach", 1, "")])
    still = np.zeros((1, 4), np.float32)
    results = [env.step([0], still)[0] for _ in range(env.max_steps("reach"))]
    assert [r.ended for r in results[-2:]] == [False, True]
    before = env.observe([0])[0]
    assert env.step([0], still)[0].ended
    assert env.observe([0])[0].time == before.time


def test_mistaken_names_bring_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        MetaWorldEnv(("drawer-opn",), BLIND)
    assert caught.value.matches[0] == "drawer-open"
    with pytest.raises(UnknownNameError) as caught:
        MetaWorldEnv(("reach-v3",), BLIND)
    assert "reach" in caught.value.matches


def test_a_slot_must_be_reset_before_use(env: MetaWorldEnv) -> None:
    fresh = MetaWorldEnv(("reach",), BLIND)
    with pytest.raises(SimError, match="before its reset"):
        fresh.observe([0])
    with pytest.raises(UnknownNameError):
        fresh.reset([0], [Trial("drawer-open", 0, "")])


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_expert_succeeds_somewhere(env: MetaWorldEnv, task: str) -> None:
    from vla_data.rollout import rollout

    trials = [Trial(task, seed, "") for seed in range(6)]
    assert any(r.success for r in rollout(env, make_expert(env), trials))
