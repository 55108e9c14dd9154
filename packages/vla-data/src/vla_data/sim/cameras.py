"""Where a MuJoCo camera stands and what it can see.

MuJoCo's camera looks along −z with y up; the suite's looks along +z with y down (OpenCV). Intrinsics put
the centre of the top left pixel at (0, 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.sim.config import CameraView
from vla_data.types import Matrix

STANDS_ON_ITS_HEAD = -0.25


def require_cameras(model: Any, views: tuple[CameraView, ...]) -> None:
    """Raise UnknownNameError unless the model has every view's source, ConfigError if one cannot wander."""
    known = [model.camera(i).name for i in range(model.ncam)]
    for view in views:
        for source in (view.source, *(place.source for place in view.places)):
            if source not in known:
                raise UnknownNameError("camera", source, known, where=f"CameraView {view.name!r}")
        if view.wander is not None and not is_still(model, model.camera(view.source).id):
            raise ConfigError(
                "a camera that hangs on something cannot wander",
                where=f"CameraView {view.name!r}",
                expected="a source that is fixed to the world",
                got=view.source,
            )


def intrinsics(fovy: float, width: int, height: int) -> Matrix:
    """3×3 in pixels, for a vertical field of view in degrees and square pixels."""
    focal = height / 2 / float(np.tan(np.deg2rad(fovy) / 2))
    return ((focal, 0.0, (width - 1) / 2), (0.0, focal, (height - 1) / 2), (0.0, 0.0, 1.0))


def zoomed(fovy: float, zoom: float) -> float:
    """The field of view, degrees, when the focal length is `zoom` times as long."""
    return 2 * float(np.rad2deg(np.arctan(np.tan(np.deg2rad(fovy) / 2) / zoom)))


def pose(model: Any, data: Any, camera: int) -> Float32[np.ndarray, "4 4"]:
    """Camera → world of the upright picture, OpenCV axes."""
    axes = [-1.0, 1.0, -1.0] if is_rolled(model, camera) else [1.0, -1.0, -1.0]
    placed = np.eye(4, dtype=np.float32)
    placed[:3, :3] = data.cam_xmat[camera].reshape(3, 3) * axes
    placed[:3, 3] = data.cam_xpos[camera]
    return placed


def to_matrix(values: np.ndarray) -> Matrix:
    """A matrix as nested tuples of floats."""
    return tuple(tuple(float(v) for v in row) for row in values)


def is_still(model: Any, camera: int) -> bool:
    """Whether a camera is fixed to the world."""
    return int(model.cam_bodyid[camera]) == 0


def is_rolled(model: Any, camera: int) -> bool:
    """Whether a camera fixed to the world stands on its head: its pictures are then turned by 180°."""
    w, x, y, z = model.cam_quat[camera]
    return is_still(model, camera) and bool(2 * (y * z + w * x) < STANDS_ON_ITS_HEAD)


def out_of_view(model: Any, data: Any, camera: int, aspect: float) -> np.ndarray:
    """Which geoms a camera surely does not see, bool [ngeom]: their bounding spheres lie outside its pyramid.

    `aspect` is width / height. Planes have no bounding sphere and always count as seen.
    """
    local = (data.geom_xpos - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    half_y = np.deg2rad(model.cam_fovy[camera]) / 2
    half_x = np.arctan(np.tan(half_y) * aspect)
    radius = np.where(model.geom_rbound > 0, model.geom_rbound, np.inf)
    ahead = -local[:, 2]
    outside = ahead + radius < 0
    for axis, half in ((0, half_x), (1, half_y)):
        outside |= np.abs(local[:, axis]) * np.cos(half) - ahead * np.sin(half) > radius
    return outside
