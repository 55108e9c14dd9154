"""One suite over every simulator: whatever calls itself a `SimEnv` keeps these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import SimError, UnknownNameError
from vla_data.objects import LabelledEnv
from vla_data.protocols import ContinuingEnv, SimEnv
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import CameraView, RandomPolicy, SimConfig, make_env
from vla_data.sim.placements import placement_seed
from vla_data.types import Observation, Trial

STEPS = 6


@dataclass(frozen=True)
class Case:
    """A simulator, two of its tasks and two of its cameras; another simulator joins by one entry below."""

    tasks: tuple[str, str]
    cameras: tuple[CameraView, CameraView]
    assets: str | None = None
    arm: bool = True


CASES = {
    "metaworld": Case(
        ("drawer-open", "reach"),
        (CameraView("front", "corner4", 48, 64), CameraView("hand", "gripperPOV", 32, 32)),
    ),
    "tabletop": Case(
        ("watch", "still"),
        (CameraView("front", "front", 48, 64), CameraView("hand", "head", 32, 32)),
        arm=False,
    ),
    "libero": Case(
        (
            "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket",
            "libero_object/pick_up_the_ketchup_and_place_it_in_the_basket",
        ),
        (CameraView("front", "agentview", 48, 64), CameraView("hand", "robot0_eye_in_hand", 32, 32)),
        assets="libero-assets",
    ),
}


@pytest.fixture(scope="module", params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture(scope="module")
def env(name: str, case: Case, request: pytest.FixtureRequest) -> Iterator[SimEnv]:
    with pytest.MonkeyPatch.context() as patch:
        if case.assets is not None:
            shared: Path = request.getfixturevalue("shared")
            patch.setenv("VLA_LIBERO_ASSETS", str(shared / case.assets))
        env = make_env(name, case.tasks, SimConfig(cameras=case.cameras, settle_steps=2), num_envs=2)
        yield env
        env.close()


def trial(case: Case, index: int = 1, task: int = 0) -> Trial:
    return Trial(case.tasks[task], placement_seed("train", index), f"do {index}")


def actions(env: SimEnv, seed: int, count: int = 1) -> np.ndarray:
    spec = env.robot.action
    draws = np.random.default_rng(seed).uniform(spec.low, spec.high, (count, spec.dim))
    return draws.astype(np.float32)


def drive(env: SimEnv, slot: int, trial: Trial) -> list[Observation]:
    """The first steps of a trial under actions of its own seed, seen at the start and the end."""
    env.reset([slot], [trial])
    seen = env.observe([slot], depth=True)
    for i in range(STEPS):
        env.step([slot], actions(env, i))
    return seen + env.observe([slot], depth=True)


def assert_same(a: Observation, b: Observation) -> None:
    np.testing.assert_array_equal(a.state, b.state)
    assert a.time == b.time
    for name, image in a.images.items():
        np.testing.assert_array_equal(image, b.images[name])


def test_it_is_a_sim_env(env: SimEnv, case: Case) -> None:
    assert isinstance(env, SimEnv)
    assert env.num_envs == 2
    assert env.tasks == case.tasks
    assert all(env.max_steps(task) > 0 for task in env.tasks)


def test_cameras_are_those_asked_for(env: SimEnv, case: Case) -> None:
    assert [(c.name, c.height, c.width) for c in env.cameras] == [
        (v.name, v.height, v.width) for v in case.cameras
    ]
    for camera in env.cameras:
        assert camera.intrinsics is not None
        assert camera.intrinsics[0][0] == camera.intrinsics[1][1] > 0
        assert camera.frame_rate == env.robot.action.control_hz


def test_an_observation_has_the_promised_shapes(env: SimEnv, case: Case) -> None:
    env.reset([0], [trial(case)])
    seen = env.observe([0], depth=True, segmentation=True, privileged=True)[0]
    assert seen.time == 0
    assert seen.instruction == "do 1"
    assert seen.state.shape == (len(env.robot.state),)
    assert seen.state.dtype == np.float32
    assert seen.privileged
    for view, camera in zip(case.cameras, env.cameras, strict=True):
        assert seen.images[view.name].shape == (view.height, view.width, 3)
        assert seen.images[view.name].std() > 5
        assert seen.depth[view.name].shape == (view.height, view.width)
        assert seen.depth[view.name].min() > 0
        assert seen.segmentation[view.name].dtype == np.int32
        assert (camera.pose is None) == (view.name in seen.poses)


def test_another_trial_begins_in_the_scene_as_it_stands(env: SimEnv, case: Case) -> None:
    assert isinstance(env, ContinuingEnv)
    drive(env, 0, trial(case))
    (before,) = env.observe([0])
    assert not env.go_on(0, trial(case, 2, task=1))  # it needs another scene
    assert_same(env.observe([0])[0], before)
    assert env.observe([0])[0].instruction == "do 1"
    assert env.go_on(0, trial(case, 2))
    (after,) = env.observe([0])
    assert (after.time, after.instruction) == (0.0, "do 2")
    assert_same(replace(after, time=before.time), before)
    assert not env.step([0], actions(env, 0))[0].ended
    with pytest.raises(UnknownNameError):
        env.go_on(0, Trial("fly", 1, ""))


def test_the_truth_about_objects_fits_what_is_seen(env: SimEnv, case: Case) -> None:
    assert isinstance(env, LabelledEnv)
    env.reset([1], [trial(case)])
    for i in range(STEPS):
        env.step([1], actions(env, i))
    seen = env.observe([1], depth=True, segmentation=True)
    (truth,) = env.label([1], seen)
    names = env.object_names(1)
    assert 2 <= len(names) <= env.object_rows == len(truth.position) == len(truth.velocity)
    assert len({n.name for n in names}) == len(names)
    assert not case.arm or names[0].kind == "gripper"
    speeds = np.linalg.norm(truth.velocity, axis=-1)
    assert (speeds[0] if case.arm else speeds.max()) > 0.01
    front, mask = env.cameras[0], truth.masks["front"]
    assert set(np.unique(mask)) <= set(range(len(names) + 1))
    pose = seen[0].poses.get("front", None if front.pose is None else np.array(front.pose))
    assert pose is not None
    assert front.intrinsics is not None
    for row in np.unique(mask[mask > 0]).astype(int) - 1:
        y, x = np.nonzero(mask == row + 1)
        rays = np.linalg.inv(np.array(front.intrinsics)) @ np.stack([x, y, np.ones(len(x))])
        points = pose[:3, :3] @ (rays * seen[0].depth["front"][y, x]) + pose[:3, 3:]
        assert np.linalg.norm(np.median(points, axis=1) - truth.position[row]) < 0.2, names[row]


def test_only_what_is_asked_for_is_given(env: SimEnv, case: Case) -> None:
    env.reset([0], [trial(case)])
    bare = env.observe([0], images=False)[0]
    assert (bare.images, bare.depth, bare.segmentation, bare.privileged) == ({}, {}, {}, {})


def test_looking_changes_nothing(env: SimEnv, case: Case) -> None:
    env.reset([0, 1], [trial(case), trial(case)])
    for i in range(STEPS):
        env.observe([0], depth=True, segmentation=True, privileged=True)
        env.step([0, 1], np.repeat(actions(env, i), 2, axis=0))
    a, b = env.observe([0, 1])
    assert_same(a, b)


def test_a_trial_does_not_depend_on_what_ran_before_or_where(env: SimEnv, case: Case) -> None:
    first = drive(env, 0, trial(case))
    drive(env, 0, trial(case, 2))
    drive(env, 0, trial(case, 1, task=1))
    for slot in (0, 1):
        for a, b in zip(first, drive(env, slot, trial(case)), strict=True):
            assert_same(a, b)


def test_seeds_place_things_differently(env: SimEnv, case: Case) -> None:
    env.reset([0, 1], [trial(case, 1), trial(case, 2)])
    a, b = env.observe([0, 1], privileged=True)
    key = next(iter(a.privileged))
    assert np.abs(a.privileged[key] - b.privileged[key]).max() > 1e-3


def test_slots_step_alone(env: SimEnv, case: Case) -> None:
    env.reset([0, 1], [trial(case), trial(case, 2)])
    before = env.observe([1])[0]
    env.step([0], actions(env, 0))
    assert_same(before, env.observe([1])[0])
    assert env.observe([0])[0].time == pytest.approx(1 / env.robot.action.control_hz)


def test_misuse_is_told(env: SimEnv, case: Case) -> None:
    with pytest.raises(UnknownNameError):
        env.reset([0], [Trial("no such task", 1, "")])
    with pytest.raises(SimError):
        env.observe([env.num_envs])


def test_a_random_policy_runs_and_is_recorded(env: SimEnv, case: Case) -> None:
    policy = RandomPolicy(env.robot, action_horizon=3)
    trials = [trial(case, 1), trial(case, 2)]
    config = RolloutConfig(execute=3, max_steps=STEPS, record=True)
    results = sorted(rollout(env, policy, trials, config), key=lambda r: r.index)
    again = sorted(rollout(env, policy, trials[::-1], config), key=lambda r: -r.index)
    for a, b in zip(results, again, strict=True):
        assert a.episode is not None
        assert b.episode is not None
        assert len(a.episode) == STEPS
        assert set(a.episode.images) == {c.name for c in env.cameras}
        np.testing.assert_array_equal(a.episode.action, b.episode.action)
        np.testing.assert_array_equal(a.episode.state, b.episode.state)
