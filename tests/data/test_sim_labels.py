"""Labels from the simulator: boxes, masks, depth, velocities, against each other and against geometry."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vla_data.augment.cameras import CameraWarp
from vla_data.errors import ConfigError, DataError, SimError
from vla_data.formats.rlds import RldsReader, finish_dataset
from vla_data.objects import (
    BOXES,
    MASKS,
    POSITION,
    VELOCITY,
    VISIBLE,
    camera_poses,
    in_camera,
    is_labelled,
    labelled_cameras,
    mask_boxes,
    object_names,
)
from vla_data.protocols import SimEnv
from vla_data.recording import rounded
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import CameraView, SimConfig, make_expert
from vla_data.sim.generate import GenerateConfig, _run_unit, _units
from vla_data.sim.metaworld import TASKS, MetaWorldEnv
from vla_data.sim.object_names import METAWORLD_CLASSES, libero_objects, metaworld_objects
from vla_data.types import Episode, Observation, Trial

FRONT, HAND = CameraView("front", "corner4", 96, 96), CameraView("hand", "gripperPOV", 64, 80)
USED = ("drawer-open", "door-open", "coffee-push")


@pytest.fixture(scope="module")
def env() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(USED, SimConfig(cameras=(FRONT, HAND)))
    yield env
    env.close()


@pytest.fixture(scope="module")
def episodes(env: MetaWorldEnv) -> dict[str, Episode]:
    """The first 50 steps of a demonstration of each task."""
    config = RolloutConfig(execute=1, max_steps=50, record=True, labels=True)
    trials = [Trial(task, 1, "") for task in USED]
    found = {r.trial.task: r.episode for r in rollout(env, make_expert(env), trials, config)}
    return {task: episode for task, episode in found.items() if episode is not None}


def visible_rows(episode: Episode, camera: str, least: int = 40) -> Iterator[tuple[int, int]]:
    for row in range(len(object_names(episode))):
        for step in np.flatnonzero(episode.series[VISIBLE + camera][:, row] >= least)[::7]:
            yield int(step), row


def test_the_rows_are_the_same_objects_throughout(episodes: dict[str, Episode]) -> None:
    kinds = {task: [n.kind for n in object_names(e)] for task, e in episodes.items()}
    assert kinds["drawer-open"] == ["gripper", "drawer"]
    assert kinds["door-open"] == ["gripper", "door"]
    assert sorted(kinds["coffee-push"]) == ["button", "gripper", "mug"]
    for episode in episodes.values():
        names, rows = object_names(episode), episode.series[POSITION].shape[1]
        assert labelled_cameras(episode) == ("front", "hand")
        for series in (POSITION, VELOCITY, BOXES + "front", VISIBLE + "hand"):
            assert not episode.series[series][:, len(names) :].any()
            assert rows == 4 == episode.series[series].shape[1]


def test_the_true_velocity_is_the_derivative_of_the_position(env: MetaWorldEnv) -> None:
    """Against positions of the same scene moved on by its joint velocities, on moving and turning bodies."""
    import mujoco as mujoco_module

    mujoco: Any = mujoco_module
    for task in ("drawer-open", "door-open"):
        trial = Trial(task, 3, "")
        for _ in rollout(env, make_expert(env), [trial], RolloutConfig(execute=1, max_steps=60)):
            pass
        env.reset([0], [trial])
        simulator = env._slots[0].env
        model, data = simulator.model, copy.copy(simulator.data)
        rng = np.random.default_rng(0)
        data.qvel[:] = rng.normal(0, 1, model.nv)
        mujoco.mj_forward(model, data)
        scene, seen = env._scene(env._slots[0]), Observation(0.0, {}, np.zeros(4, np.float32))
        now = scene.truth(model, data, seen)
        velocity = data.qvel.copy()
        epsilon = 1e-4
        position = data.qpos.copy()
        mujoco.mj_integratePos(model, position, velocity, epsilon)
        data.qpos[:] = position
        mujoco.mj_kinematics(model, data)
        later = scene.truth(model, data, seen)
        moved = (later.position.astype(np.float64) - now.position) / epsilon
        assert np.linalg.norm(now.velocity, axis=1)[: len(scene.names)].min() > 0.1
        np.testing.assert_allclose(now.velocity, moved, atol=0.02)


def test_recorded_velocities_agree_with_finite_differences(episodes: dict[str, Episode]) -> None:
    for episode in episodes.values():
        position = episode.series[POSITION].astype(np.float64)
        velocity = episode.series[VELOCITY][1:-1]
        differences = (position[2:] - position[:-2]) / (episode.time[2:] - episode.time[:-2])[:, None, None]
        wrong = np.linalg.norm(differences - velocity, axis=-1)
        assert wrong.mean() < 0.05 * max(np.linalg.norm(velocity, axis=-1).max(), 0.1)
    assert np.linalg.norm(episodes["door-open"].series[VELOCITY][:, 0], axis=1).max() > 0.3


def test_boxes_are_the_extent_of_the_masks(episodes: dict[str, Episode]) -> None:
    for episode in episodes.values():
        for camera in ("front", "hand"):
            masks = episode.series[MASKS + camera]
            assert masks.dtype == np.uint8
            assert masks.shape == (50, *episode.images[camera][0].shape[:2])
            for step in (0, 20, 49):
                for row in range(4):
                    inside = masks[step] == row + 1
                    columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
                    box = episode.series[BOXES + camera][step, row]
                    assert episode.series[VISIBLE + camera][step, row] == inside.sum()
                    if inside.any():
                        assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
                    else:
                        assert not box.any()


def test_positions_project_into_the_boxes(episodes: dict[str, Episode]) -> None:
    """Through intrinsics and pose alone; the still camera sees whole objects, so their centres lie inside."""
    checked = 0
    for episode in episodes.values():
        camera = np.array(episode.cameras["front"].intrinsics)
        places, _ = in_camera(episode, "front")
        for step, row in visible_rows(episode, "front"):
            u, v, w = camera @ places[step, row]
            x1, y1, x2, y2 = episode.series[BOXES + "front"][step, row]
            assert x1 - 1 <= u / w + 0.5 <= x2 + 1
            assert y1 - 1 <= v / w + 0.5 <= y2 + 1
            checked += 1
    assert checked > 12


@pytest.mark.parametrize("camera", ["front", "hand"])
def test_depth_under_a_mask_leads_back_to_the_object(episodes: dict[str, Episode], camera: str) -> None:
    for episode in episodes.values():
        focal = np.array(episode.cameras[camera].intrinsics)
        places, _ = in_camera(episode, camera)
        for step, row in visible_rows(episode, camera):
            y, x = np.nonzero(episode.series[MASKS + camera][step] == row + 1)
            z = np.asarray(episode.depth[camera])[step][y, x]
            points = np.linalg.inv(focal) @ np.stack([x, y, np.ones(len(x))]) * z
            away = np.linalg.norm(np.median(points, axis=1) - places[step, row])
            assert away < 0.2, (object_names(episode)[row], step)
            if row == 0:
                assert away < 0.06


def test_velocity_in_the_camera_is_that_of_the_world_turned(episodes: dict[str, Episode]) -> None:
    episode = episodes["door-open"]
    for camera in ("front", "hand"):
        places, velocities = in_camera(episode, camera)
        poses = camera_poses(episode, camera)
        back = np.einsum("tij,tnj->tni", poses[:, :3, :3], places) + poses[:, None, :3, 3]
        np.testing.assert_allclose(back, episode.series[POSITION], atol=1e-5)
        np.testing.assert_allclose(
            np.linalg.norm(velocities, axis=-1), np.linalg.norm(episode.series[VELOCITY], axis=-1), atol=1e-5
        )
    still = np.diff(in_camera(episode, "front")[0], axis=0)[:, 0] * 80
    seen = in_camera(episode, "front")[1]
    middle = (seen[1:, 0] + seen[:-1, 0]) / 2
    assert np.linalg.norm(still - middle, axis=1).mean() < 0.05


def test_a_warped_camera_takes_its_boxes_along(episodes: dict[str, Episode]) -> None:
    episode = episodes["drawer-open"]
    warped = CameraWarp(cameras=("front",), crop=0.8)(episode, np.random.default_rng(0))
    assert not np.array_equal(warped.series[BOXES + "front"], episode.series[BOXES + "front"])
    np.testing.assert_array_equal(warped.series[BOXES + "hand"], episode.series[BOXES + "hand"])
    for step in (0, 30):
        boxes, visible = mask_boxes(warped.series[MASKS + "front"][step], 4)
        np.testing.assert_array_equal(warped.series[BOXES + "front"][step], boxes)
        np.testing.assert_array_equal(warped.series[VISIBLE + "front"][step], visible)


def test_labels_are_kept_as_they_were_and_cost_nothing_where_nobody_asks(tmp_path: Path) -> None:
    config = GenerateConfig(
        tasks=("drawer-close",), episodes=1, episodes_per_shard=1, cameras=(FRONT,), labels=True
    )
    directory = tmp_path / "metaworld" / "1.0.0"
    for unit in _units(config, directory):
        _run_unit(unit)
    finish_dataset(directory)
    reader = RldsReader.open(tmp_path)
    episode, numbers = reader[0], reader.read_series(0)
    assert [n.kind for n in object_names(episode)] == ["gripper", "drawer"]
    assert MASKS + "front" in episode.series
    assert MASKS + "front" not in numbers.series
    np.testing.assert_array_equal(numbers.series[BOXES + "front"], episode.series[BOXES + "front"])
    boxes = [mask_boxes(mask, 4)[0] for mask in episode.series[MASKS + "front"]]
    np.testing.assert_array_equal(np.stack(boxes), episode.series[BOXES + "front"])
    depth = np.asarray(episode.depth["front"])
    np.testing.assert_array_equal(rounded(depth), depth)
    bytes_a_step = sum(p.stat().st_size for p in directory.glob("*.tfrecord*")) / len(episode)
    assert bytes_a_step < 3 * 96 * 96  # of 8 bytes a pixel before packing


def test_without_labels_nothing_of_them_is_recorded(env: MetaWorldEnv, episodes: dict[str, Episode]) -> None:
    assert not GenerateConfig().labels
    config = RolloutConfig(execute=1, max_steps=5, record=True)
    plain = next(rollout(env, make_expert(env), [Trial("drawer-open", 1, "")], config)).episode
    assert plain is not None
    assert not is_labelled(plain)
    assert set(plain.series) == {"reward", "success", "phase", "pose/hand"}
    labelled = episodes["drawer-open"]
    np.testing.assert_array_equal(plain.action, labelled.action[:5])
    np.testing.assert_array_equal(plain.images["front"][4], labelled.images["front"][4])


class Blind:
    """An environment that offers what every `SimEnv` does and no truth."""

    def __init__(self, env: MetaWorldEnv) -> None:
        for name in (
            "num_envs",
            "robot",
            "cameras",
            "tasks",
            "max_steps",
            "reset",
            "step",
            "observe",
            "close",
        ):
            setattr(self, name, getattr(env, name))


def test_what_cannot_be_labelled_is_said(env: MetaWorldEnv, episodes: dict[str, Episode]) -> None:
    blind = Blind(env)
    assert isinstance(blind, SimEnv)
    with pytest.raises(ConfigError, match="does not know where its objects are"):
        rollout(cast("Any", blind), make_expert(env), [], RolloutConfig(record=True, labels=True))
    episode = episodes["drawer-open"]
    plain = replace(episode, metadata={})
    with pytest.raises(DataError, match="without labels") as caught:
        object_names(plain)
    assert "--labels" in str(caught.value)
    for text in ("{", "[1]", '[{"name": "x"}]', "null"):
        with pytest.raises(DataError, match="cannot be read"):
            object_names(replace(episode, metadata={"objects": text}))
    with pytest.raises(DataError, match="do not belong together"):
        object_names(replace(episode, series={}))
    with pytest.raises(DataError, match="where a camera is"):
        camera_poses(replace(episode, cameras={}), "front")


def body(name: str, parent: int, joints: int = 0) -> Any:
    return SimpleNamespace(name=name, parent=parent, joints=joints)


def fake_model(*bodies: Any) -> Any:
    listed = [body("world", 0), *bodies]

    def find(key: int | str) -> Any:
        index = key if isinstance(key, int) else [b.name for b in listed].index(key)
        return SimpleNamespace(id=index, name=listed[index].name)

    return SimpleNamespace(
        nbody=len(listed),
        body=find,
        body_parentid=[b.parent for b in listed],
        body_jntnum=[b.joints for b in listed],
    )


def test_names_of_libero_carry_their_class() -> None:
    model = fake_model(
        body("robot0_link1", 0, 1),
        body("gripper0_right_gripper", 1),
        body("gripper0_leftfinger", 2, 1),
        body("akita_black_bowl_2_main", 0, 1),
        body("chefmate_8_frypan_1_main", 0, 1),
        body("white_cabinet_1_base", 0),
        body("white_cabinet_1_cabinet_top", 6, 1),
        body("microwave_1_microdoorroot", 0, 1),
        body("flat_stove_1_button", 0, 1),
    )
    assert [(i, n.name, n.kind) for i, n in libero_objects(model).items()] == [
        (2, "gripper", "gripper"),
        (4, "akita_black_bowl_2", "akita_black_bowl"),
        (5, "chefmate_8_frypan_1", "chefmate_8_frypan"),
        (7, "white_cabinet_1_cabinet_top", "drawer"),
        (8, "microwave_1_microdoorroot", "door"),
        (9, "flat_stove_1_button", "button"),
    ]


def test_a_moving_body_without_a_class_is_an_error() -> None:
    model = fake_model(body("base", 0), body("hand", 1), body("RoundNut", 0, 1), body("gadget", 0, 1))
    with pytest.raises(SimError, match="no class"):
        metaworld_objects(model, "assembly")
    assert len(set(METAWORLD_CLASSES.values())) <= 25


@pytest.mark.slow
def test_every_task_has_objects_of_known_classes() -> None:
    env = MetaWorldEnv(TASKS, SimConfig(cameras=()))
    for task in TASKS:
        env.reset([0], [Trial(task, 1, "")])
        names = env.object_names(0)
        assert names[0].kind == "gripper"
        assert 2 <= len(names) <= env.object_rows
        (truth,) = env.label([0], env.observe([0], images=False))
        assert np.isfinite(truth.position).all()
        assert np.isfinite(truth.velocity).all()


@given(arrays(np.float32, 40, elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)))
def test_rounded_depth_is_off_by_one_part_in_4096_at_most(values: np.ndarray) -> None:
    kept = rounded(values)
    normal = np.abs(values) > 1e-35
    assert (np.abs(kept - values)[normal] <= np.abs(values)[normal].astype(np.float64) / 4096).all()
    np.testing.assert_array_equal(rounded(kept), kept)


def test_rounding_leaves_what_is_no_number() -> None:
    odd = np.array([0.0, np.inf, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(rounded(odd), odd)


@given(arrays(np.uint8, (6, 9), elements=st.integers(0, 4)))
def test_boxes_hold_all_pixels_and_no_empty_border(mask: np.ndarray) -> None:
    boxes, visible = mask_boxes(mask, 3)
    for row, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        assert visible[row] == (mask == row + 1).sum() == (mask[y1:y2, x1:x2] == row + 1).sum()
        if visible[row]:
            part = mask[y1:y2, x1:x2] == row + 1
            assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()  # noqa: PT018
