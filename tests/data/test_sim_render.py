"""Pictures: right whatever else was drawn, upright, metric, and told apart by object."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.sim import CameraView, SimConfig, cameras, looking
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.sim.render import Renderer
from vla_data.types import Trial

VIEWS = (
    CameraView("front", "corner4", 96, 128),
    CameraView("hand", "gripperPOV", 64, 64),
    CameraView("top", "topview", 64, 64),
)
REACH, DRAWER = Trial("reach", 4, "reach"), Trial("drawer-open", 4, "open")


@pytest.fixture(scope="module")
def env() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(("drawer-open", "reach"), SimConfig(cameras=VIEWS), num_envs=2)
    yield env
    env.close()


def test_pictures_show_something(env: MetaWorldEnv) -> None:
    env.reset([0], [DRAWER])
    seen = env.observe([0], depth=True, segmentation=True)[0]
    for view in VIEWS:
        image = seen.images[view.name]
        assert image.shape == (view.height, view.width, 3)
        assert image.dtype == np.uint8
        assert image.std() > 10
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
        assert len(np.unique(seen.segmentation[view.name])) > 2


def test_drawing_one_model_leaves_the_pictures_of_another_alone(env: MetaWorldEnv) -> None:
    env.reset([0, 1], [DRAWER, REACH])
    before = env.observe([0])[0].images
    other = MetaWorldEnv(("hammer",), SimConfig(cameras=(CameraView("big", "corner2", 200, 200),)))
    other.reset([0], [Trial("hammer", 1, "")])
    assert other.observe([0])[0].images["big"].std() > 10
    env.observe([1])
    other.close()
    after = env.observe([0])[0].images
    for name, image in before.items():
        np.testing.assert_array_equal(image, after[name])


def test_a_picture_does_not_depend_on_the_views_beside_it(env: MetaWorldEnv) -> None:
    alone = MetaWorldEnv(("drawer-open",), SimConfig(cameras=VIEWS[1:2]))
    for each in (alone, env):
        each.reset([0], [DRAWER])
    np.testing.assert_array_equal(alone.observe([0])[0].images["hand"], env.observe([0])[0].images["hand"])
    alone.close()


def test_more_models_than_renderers_are_kept(env: MetaWorldEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    env.reset([0, 1], [DRAWER, REACH])
    before = [o.images["front"] for o in env.observe([0, 1])]
    monkeypatch.setattr(looking, "KEPT_RENDERERS", 1)
    for _ in range(2):
        for image, now in zip(before, env.observe([0, 1]), strict=True):
            np.testing.assert_array_equal(image, now.images["front"])


def test_hiding_what_is_out_of_view_changes_no_pixel(
    env: MetaWorldEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.reset([0], [DRAWER])
    culled = env.observe([0])[0].images
    model, data = env._slots[0].env.model, env._slots[0].env.data
    assert cameras.out_of_view(model, data, model.camera("gripperPOV").id, 1.0).sum() > 5
    monkeypatch.setattr("vla_data.sim.render.out_of_view", lambda model, *_: np.zeros(model.ngeom, bool))
    for name, image in env.observe([0])[0].images.items():
        np.testing.assert_array_equal(image, culled[name])


def test_the_model_is_left_as_it_was(env: MetaWorldEnv) -> None:
    model = env._take("reach").model
    watched = ("mesh_face", "mesh_facenum", "mesh_facenormal", "geom_group")
    before = {name: getattr(model, name).copy() for name in watched}
    quality = (model.vis.quality.shadowsize, model.vis.quality.offsamples, model.vis.global_.offwidth)
    Renderer(model, 64, 64).close()
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(model, name), values)
    assert quality == (
        model.vis.quality.shadowsize, model.vis.quality.offsamples, model.vis.global_.offwidth
    )  # fmt: skip


def test_the_fast_picture_is_much_like_the_reference(env: MetaWorldEnv) -> None:
    slow = MetaWorldEnv(("drawer-open",), SimConfig(cameras=VIEWS[:1], render="reference"))
    for each in (slow, env):
        each.reset([0], [DRAWER])
    reference = slow.observe([0], depth=True)[0]
    fast = env.observe([0], depth=True)[0]
    near = reference.depth["front"] < 2.0
    gap = np.abs(reference.depth["front"] - fast.depth["front"])[near]
    assert np.quantile(gap, 0.95) < 0.03
    assert np.abs(reference.images["front"].astype(int) - fast.images["front"])[near].mean() < 25
    slow.close()


def world_points(env: MetaWorldEnv, name: str) -> np.ndarray:
    """Where in the world each pixel of a camera lies, from depth, intrinsics and pose alone."""
    seen = env.observe([0], images=False, depth=True)[0]
    camera = next(c for c in env.cameras if c.name == name)
    pose = np.array(camera.pose) if camera.pose is not None else seen.poses[name]
    rows, columns = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    rays = pixels @ np.linalg.inv(np.array(camera.intrinsics)).T
    points = rays * seen.depth[name][..., None]
    return points @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("name", ["front", "hand", "top"])
def test_depth_intrinsics_and_pose_put_bodies_where_they_are(env: MetaWorldEnv, name: str) -> None:
    env.reset([0], [DRAWER])
    points = world_points(env, name)
    bodies = env.observe([0], images=False, segmentation=True)[0].segmentation[name]
    table = next(i for i, body in env.objects(0).items() if body == "tablelink")
    drawer = next(i for i, body in env.objects(0).items() if body == "drawer_link")
    on_table = points[bodies == table]
    assert len(on_table) > 50
    assert np.median(np.abs(on_table[:, 2])) < 0.02
    if (bodies == drawer).sum() > 20:
        middle = np.median(points[bodies == drawer], axis=0)
        true = env._slots[0].env.data.body("drawer_link").xpos
        assert np.linalg.norm(middle[:2] - true[:2]) < 0.12


def test_pictures_are_upright(env: MetaWorldEnv) -> None:
    """Down in the picture is down in the world, by the pose and by what is seen."""
    env.reset([0], [DRAWER])
    front = next(c for c in env.cameras if c.name == "front")
    assert front.pose is not None
    assert front.pose[2][1] < -0.5
    bodies = env.observe([0], images=False, segmentation=True)[0].segmentation["front"]
    drawer = next(i for i, body in env.objects(0).items() if body == "drawer_link")
    rows, heights = np.nonzero(bodies == drawer)[0], world_points(env, "front")[..., 2][bodies == drawer]
    upper = rows < np.median(rows)
    assert heights[upper].mean() > heights[~upper].mean() + 0.01


def test_moving_cameras_tell_their_pose_each_time(env: MetaWorldEnv) -> None:
    env.reset([0], [DRAWER])
    assert {c.name: c.pose is None for c in env.cameras} == {"front": False, "hand": True, "top": False}
    before = env.observe([0])[0].poses
    for _ in range(10):
        env.step([0], np.array([[1, 0, 0, 0]], np.float32))
    moved = env.observe([0])[0].poses["hand"] - before["hand"]
    assert set(before) == {"hand"}
    assert moved[0, 3] > 0.03
    np.testing.assert_allclose(moved[:3, :3], 0, atol=0.05)


def test_unknown_cameras_and_empty_ones_are_refused() -> None:
    with pytest.raises(UnknownNameError) as caught:
        MetaWorldEnv(("reach",), SimConfig(cameras=(CameraView("c", "corner5"),)))
    assert "corner4" in caught.value.matches
    with pytest.raises(ConfigError):
        CameraView("c", "corner4", 0, 64)
    with pytest.raises(ConfigError):
        SimConfig(cameras=(CameraView("c", "corner4"), CameraView("c", "corner2")))


PROGRAM = """
import sys, numpy as np
from vla_data.sim import CameraView, SimConfig
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.types import Trial
views = (CameraView("a", "corner4", 64, 64), CameraView("b", "corner2", 96, 96))
env = MetaWorldEnv(("drawer-open", "hammer"), SimConfig(cameras=views), 2)
env.reset([0, 1], [Trial("drawer-open", 4, ""), Trial("hammer", 4, "")])
seen = [i for o in env.observe([0, 1]) for i in o.images.values()]
again = [i for o in env.observe([0, 1]) for i in o.images.values()]
assert all((x == y).all() for x, y in zip(seen, again))
np.savez(sys.argv[1], *seen)
"""


def test_both_backends_draw_the_same_with_several_models(tmp_path) -> None:
    drawn = {}
    for backend in ("egl", "osmesa"):
        env = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": backend}
        path = tmp_path / f"{backend}.npz"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path)], env=env, capture_output=True, text=True, timeout=300
        )
        if done.returncode and "MissingDependencyError" in done.stderr:
            pytest.skip(f"{backend} is not on this machine")
        assert done.returncode == 0, done.stderr
        drawn[backend] = np.load(path)
    for key in drawn["egl"].files:
        gap = np.abs(drawn["egl"][key].astype(int) - drawn["osmesa"][key])
        assert drawn["egl"][key].std() > 10
        assert gap.mean() < 1
