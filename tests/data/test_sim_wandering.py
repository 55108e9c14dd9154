"""Cameras that stand somewhere else at every look: where they say they are, and never twice by chance."""

import numpy as np
import pytest

from vla_data.errors import ConfigError
from vla_data.sim.config import CameraView, SimConfig, Wander
from vla_data.sim.generate import PRESETS
from vla_data.types import Trial

TABLE = Wander((0.0, 0.6, 0.1), fovy=50.0)
FIXED = CameraView("front", "corner2", 48, 48)
FREE = CameraView("free", "corner", 48, 48, TABLE)


def looked(views: tuple[CameraView, ...], steps: int = 2) -> list:
    """What is seen from `views` before and between steps of the same trial."""
    from vla_data.sim.metaworld import MetaWorldEnv

    env = MetaWorldEnv(("reach",), SimConfig(cameras=views))
    try:
        env.reset([0], [Trial("reach", 3, "")])
        seen = []
        for _ in range(steps):
            seen.append(env.observe([0], depth=True)[0])
            env.step([0], np.full((1, 4), 0.5, np.float32))
        return [env.cameras, *seen]
    finally:
        env.close()


def points(depth: np.ndarray, intrinsics: tuple, pose: np.ndarray) -> np.ndarray:
    """The pixels of a depth map in the world, [N, 3]."""
    y, x = np.mgrid[: depth.shape[0], : depth.shape[1]]
    k = np.array(intrinsics)
    rays = np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones_like(x)], -1)
    local = (rays * depth[..., None]).reshape(-1, 3)[depth.ravel() < 5]
    return local @ pose[:3, :3].T + pose[:3, 3]


def test_a_wandering_camera_is_where_its_pose_says() -> None:
    cameras, first, second = looked((FIXED, FREE))
    known = {c.name: c for c in cameras}
    assert known["free"].pose is None
    assert known["front"].pose is not None
    assert not np.allclose(first.poses["free"], second.poses["free"], atol=0.05)
    for seen in (first, second):
        pose = seen.poses["free"]
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-5)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0, abs=1e-5)
        assert 0.4 < np.linalg.norm(pose[:3, 3] - TABLE.centre) < 2.1
        assert seen.images["free"].std() > 10
        # Floor and table lie where the fixed camera has them: on the ground, and level.
        heights = points(seen.depth["free"], known["free"].intrinsics, pose)[:, 2]
        level = points(seen.depth["front"], known["front"].intrinsics, np.array(known["front"].pose))[:, 2]
        floor = level.min()
        assert heights.min() > floor - 0.05
        assert np.mean(np.abs(heights[:, None] - [[0.0, floor]]).min(1) < 0.03) > 0.3


def test_the_same_trial_looks_the_same_and_others_are_left_alone() -> None:
    _, alone, _ = looked((FIXED, CameraView("corner", "corner", 48, 48)))
    _, beside, _ = looked((FREE, FIXED, CameraView("corner", "corner", 48, 48)))
    _, again, _ = looked((FREE,))
    np.testing.assert_array_equal(beside.images["free"], again.images["free"])
    np.testing.assert_array_equal(beside.poses["free"], again.poses["free"])
    for name in ("front", "corner"):
        np.testing.assert_array_equal(alone.images[name], beside.images[name])


def test_what_cannot_wander() -> None:
    with pytest.raises(ConfigError, match="hangs on something"):
        looked((CameraView("free", "gripperPOV", 48, 48, TABLE),))
    for wrong in ({"nearest": 0.0}, {"lowest": 50.0, "highest": 40.0}, {"highest": 90.0}, {"fovy": 0.0}):
        with pytest.raises(ConfigError):
            Wander((0.0, 0.0, 0.0), **wrong)


def test_the_perception_preset_has_labels_and_views_from_all_sides() -> None:
    chosen = PRESETS["perception"]()
    assert chosen.labels
    assert chosen.cameras is not None
    assert sum(view.wander is not None for view in chosen.cameras) == 2
    assert len({view.name for view in chosen.cameras}) == len(chosen.cameras)
