"""A camera that is borrowed for a view: aimed, or standing somewhere else at every look (training views for
what must work from anywhere)."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from vla_data.sim.cameras import is_rolled, zoomed
from vla_data.sim.config import Aim, CameraView, Wander

TRIES = 30
CLEAR = 0.3  # metres to the first thing ahead
ROLL = 0.1  # radians
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@contextmanager
def placed(model: Any, data: Any, view: CameraView) -> Iterator[None]:
    """The view's camera where it stands now; a view that is neither aimed nor wanders stays where it is.

    The camera called `source` is borrowed and put back afterwards. Where a wandering view stands follows from
    the state of the simulation and the view's name alone, so that a trial looks the same however it is run.
    """
    if view.wander is None and view.aim == Aim():
        yield
        return
    camera = model.camera(view.source).id
    before = data.cam_xpos[camera].copy(), data.cam_xmat[camera].copy()
    settings = model.cam_quat[camera].copy(), float(model.cam_fovy[camera])
    try:
        if view.wander is None:
            model.cam_fovy[camera] = zoomed(settings[1], view.aim.zoom)
            if view.aim.stand is not None:
                model.cam_quat[camera] = UPRIGHT
                data.cam_xpos[camera] = view.aim.stand
            data.cam_xmat[camera] = _aimed(model, data, camera, view.aim).ravel()
        else:
            model.cam_quat[camera], model.cam_fovy[camera] = UPRIGHT, view.wander.fovy
            place, axes = _wandered(model, data, view.wander, view.name)
            data.cam_xpos[camera], data.cam_xmat[camera] = place, axes.ravel()
        yield
    finally:
        data.cam_xpos[camera], data.cam_xmat[camera] = before
        model.cam_quat[camera], model.cam_fovy[camera] = settings


def _aimed(model: Any, data: Any, camera: int, aim: Aim) -> np.ndarray:
    """MuJoCo's axes of a camera, as columns, turned: panned about the picture's vertical, then tilted."""
    if aim.stand is None or aim.at is None:
        axes = data.cam_xmat[camera].reshape(3, 3)
    else:
        axes = _facing(np.array(aim.stand) - aim.at)
    upright = np.diag([-1.0, -1.0, 1.0]) if is_rolled(model, camera) else np.eye(3)
    pan, tilt = np.deg2rad([aim.pan, aim.tilt])
    about_y = np.array([[np.cos(pan), 0, np.sin(pan)], [0, 1, 0], [-np.sin(pan), 0, np.cos(pan)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return axes @ upright @ about_y @ about_x @ upright


def _wandered(model: Any, data: Any, wander: Wander, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A place with nothing right before it, and the camera's axes there."""
    rng = np.random.default_rng(zlib.crc32(name.encode(), zlib.crc32(np.asarray(data.qpos).tobytes())))
    place, axes = _draw(wander, rng)
    for _ in range(TRIES):
        if _clear(model, data, place, -axes[:, 2]):
            break
        place, axes = _draw(wander, rng)
    return place, axes


def _draw(wander: Wander, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A place, and MuJoCo's camera axes (x right, y up, z back) as columns: looks near the centre."""
    centre = np.array(wander.centre) + rng.uniform(-0.2, 0.2, 3)
    around, above = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(wander.lowest, wander.highest))
    level = np.cos(above)
    away = np.array([level * np.cos(around), level * np.sin(around), np.sin(above)])
    (right, up, _), roll = _facing(away).T, rng.normal(0, ROLL)
    axes = np.stack(
        [np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, away], 1
    )
    return centre + rng.uniform(wander.nearest, wander.farthest) * away, axes


def _facing(away: np.ndarray) -> np.ndarray:
    """MuJoCo's axes, as columns, of a level camera that looks along −`away`."""
    away = away / np.linalg.norm(away)
    right = np.cross([0.0, 0.0, 1.0], away)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(away, right), away], 1)


def _clear(model: Any, data: Any, place: np.ndarray, ahead: np.ndarray) -> bool:
    """Whether nothing stands right before the camera."""
    mujoco: Any = importlib.import_module("mujoco")
    found = mujoco.mj_ray(model, data, place, ahead, None, 1, -1, np.zeros(1, np.int32))
    return not 0 <= found < CLEAR
