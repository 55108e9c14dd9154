"""A camera that stands somewhere else at every look: training views for what must work from anywhere."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from vla_data.sim.config import CameraView, Wander

TRIES = 30
CLEAR = 0.3  # metres to the first thing ahead
ROLL = 0.1  # radians
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@contextmanager
def placed(model: Any, data: Any, view: CameraView) -> Iterator[None]:
    """The view's camera where it stands now; a view that does not wander stays where it is.

    A wandering view borrows the camera called `source`, which is put back afterwards. Its place follows from
    the state of the simulation and the view's name alone, so that a trial looks the same however it is run.
    """
    if view.wander is None:
        yield
        return
    camera = model.camera(view.source).id
    before = data.cam_xpos[camera].copy(), data.cam_xmat[camera].copy()
    settings = model.cam_quat[camera].copy(), float(model.cam_fovy[camera])
    rng = np.random.default_rng(zlib.crc32(view.name.encode(), zlib.crc32(np.asarray(data.qpos).tobytes())))
    try:
        model.cam_quat[camera], model.cam_fovy[camera] = UPRIGHT, view.wander.fovy
        place, axes = _draw(view.wander, rng)
        for _ in range(TRIES):
            if _clear(model, data, place, -axes[:, 2]):
                break
            place, axes = _draw(view.wander, rng)
        data.cam_xpos[camera], data.cam_xmat[camera] = place, axes.ravel()
        yield
    finally:
        data.cam_xpos[camera], data.cam_xmat[camera] = before
        model.cam_quat[camera], model.cam_fovy[camera] = settings


def _draw(wander: Wander, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A place, and MuJoCo's camera axes (x right, y up, z back) as columns: looks near the centre."""
    centre = np.array(wander.centre) + rng.uniform(-0.2, 0.2, 3)
    around, above = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(wander.lowest, wander.highest))
    level = np.cos(above)
    away = np.array([level * np.cos(around), level * np.sin(around), np.sin(above)])
    right = np.cross([0.0, 0.0, 1.0], away)
    right /= np.linalg.norm(right)
    up, roll = np.cross(away, right), rng.normal(0, ROLL)
    axes = np.stack(
        [np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, away], 1
    )
    return centre + rng.uniform(wander.nearest, wander.farthest) * away, axes


def _clear(model: Any, data: Any, place: np.ndarray, ahead: np.ndarray) -> bool:
    """Whether nothing stands right before the camera."""
    mujoco: Any = importlib.import_module("mujoco")
    found = mujoco.mj_ray(model, data, place, ahead, None, 1, -1, np.zeros(1, np.int32))
    return not 0 <= found < CLEAR
