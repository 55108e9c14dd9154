"""Scenes that differ along one axis: by the trial's seed, visibly, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import ConfigError
from vla_data.sim import CameraView, SimConfig, make_env
from vla_data.sim.config import Perturbation
from vla_data.sim.libero import PRIVILEGED as LIBERO_STATE
from vla_data.sim.metaworld import PRIVILEGED, MetaWorldEnv
from vla_data.sim.perturbing import AXES, nudges
from vla_data.types import Observation, Trial

VIEWS = (CameraView("corner4", "corner4", 48, 48), CameraView("gripperPOV", "gripperPOV", 48, 48))
TASK = "push"
MILK = "libero_object/pick_up_the_milk_and_place_it_in_the_basket"


def seen(env: MetaWorldEnv, seed: int) -> Observation:
    env.reset([0], [Trial(TASK, seed, "push it")])
    return env.observe([0], privileged=True)[0]


@pytest.fixture(scope="module")
def plain() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv((TASK,), SimConfig(VIEWS), 1)
    yield env
    env.close()


def different(axis: str) -> MetaWorldEnv:
    return MetaWorldEnv((TASK,), SimConfig(VIEWS, perturbation=AXES[axis]), 1)


@pytest.mark.parametrize("axis", ["camera", "light", "colour", "start", "distractors"])
def test_a_scene_differs_by_its_seed_alone(plain: MetaWorldEnv, axis: str):
    env = different(axis)
    usual = seen(plain, 5)
    first, other, again = seen(env, 5), seen(env, 6), seen(env, 5)
    for name, image in first.images.items():
        np.testing.assert_array_equal(image, again.images[name])
    change = np.abs(first.images["corner4"].astype(int) - usual.images["corner4"]).mean()
    assert change > (0.2 if axis == "distractors" else 1)
    assert (first.images["corner4"] != other.images["corner4"]).any()
    moved = np.abs(first.state - usual.state).max()
    assert (moved > 0.01) == (axis == "start")
    assert first.time == 0
    assert first.places == {}  # nothing tells a policy
    env.close()


def test_only_cameras_that_stand_still_are_turned(plain: MetaWorldEnv):
    env = different("camera")
    usual, turned = seen(plain, 3), seen(env, 3)
    np.testing.assert_array_equal(usual.images["gripperPOV"], turned.images["gripperPOV"])
    env.close()


def test_a_task_stays_where_it_was(plain: MetaWorldEnv):
    for axis in ("camera", "light", "colour", "distractors"):
        env = different(axis)
        usual, other = (seen(e, 4).privileged[PRIVILEGED] for e in (plain, env))
        np.testing.assert_array_equal(usual, other)
        env.close()


def test_distractors_stand_on_free_ground_and_hide_what_is_behind():
    env = different("distractors")
    for seed in range(10):
        env.reset([0], [Trial(TASK, seed, "push it")])
        _, data = env._physics(env._slots[0].env)
        things = env._slots[0].beside
        assert 1 <= len(things) <= 4
        puck = data.body("obj").xpos
        for i, thing in enumerate(things):
            assert np.linalg.norm(thing.place[:2] - puck[:2]) > 0.05
            assert thing.place[2] >= 0
            assert all(np.linalg.norm(thing.place[:2] - o.place[:2]) > 0.08 for o in things[:i])
        looked = env.observe([0], depth=True, segmentation=True)[0]
        env._slots[0].beside = ()
        bare = env.observe([0], depth=True, segmentation=True)[0]
        nearer = looked.depth["corner4"] < bare.depth["corner4"] - 1e-4
        if nearer.any():
            assert (looked.segmentation["corner4"][nearer] == -1).all()
            assert (looked.images["corner4"][nearer] != bare.images["corner4"][nearer]).any()
        assert (looked.depth["corner4"] <= bare.depth["corner4"] + 1e-4).all()
    env.close()


def test_the_horizon_is_whole_after_another_start():
    env = different("start")
    env.reset([0], [Trial(TASK, 1, "")])
    still = np.zeros((1, 4), np.float32)
    steps = 0
    while not env.step([0], still)[0].ended:
        steps += 1
    assert steps + 1 == env.max_steps(TASK)
    env.close()


def test_a_hand_never_begins_lower_and_not_too_far():
    for seed in range(50):
        way = nudges(0.01, 0.08, 4, seed)
        assert np.abs(way).max() <= 1
        path = 0.01 * way[:, :3].sum(axis=0)
        assert path[2] >= 0
        assert 0.04 - 1e-6 <= np.linalg.norm(path) <= 0.08 + 1e-6
        assert not way[:, 3].any()


def test_things_change_places(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLA_LIBERO_ASSETS", str(shared / "libero-assets"))
    states = []
    for perturbation in (Perturbation(), AXES["swap"]):
        env = make_env("libero", [MILK], SimConfig((), perturbation=perturbation))
        found = []
        for seed in (0, 1, 0):
            env.reset([0], [Trial(MILK, seed, "")])
            found.append(env.observe([0], privileged=True)[0].privileged[LIBERO_STATE])
        np.testing.assert_array_equal(found[0], found[2])
        states.append(found)
        env.close()
    for usual, swapped in zip(*states, strict=True):
        changed = np.flatnonzero(np.abs(usual - swapped) > 1e-6)
        assert len(changed) == 4  # x and y of two things
        np.testing.assert_allclose(np.sort(usual[changed]), np.sort(swapped[changed]))


def test_a_table_without_a_hand_has_no_other_start():
    env = make_env("tabletop", ["watch"], SimConfig((), perturbation=AXES["start"]))
    with pytest.raises(ConfigError, match="without a hand"):
        env.reset([0], [Trial("watch", 0, "")])
    env.close()


def test_of_models_that_are_gone_nothing_is_kept(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLA_LIBERO_ASSETS", str(shared / "libero-assets"))
    env = make_env("libero", [MILK], SimConfig((), perturbation=AXES["light"]))
    for seed in range(3):  # a model each
        env.reset([0], [Trial(MILK, seed, "")])
    kept = list(env._appearances.values())  # type: ignore[attr-defined]
    assert len(kept) == 1
    assert kept[0]._model is env._physics(env._slots[0].env)[0]  # type: ignore[attr-defined]
    env.close()


@pytest.mark.parametrize(
    "wrong", [{"camera": -1}, {"light": 2}, {"colour": -0.1}, {"start": 1.0}, {"distractors": -1}]
)
def test_amounts_have_bounds(wrong):
    with pytest.raises(ConfigError, match="cannot differ"):
        Perturbation(**wrong)
