"""From boxes and depth to points in space, with an honest covariance.

A camera measures direction well and depth badly: the covariance of a point is long along the ray.
Camera frames: x right, y down, z forward (OpenCV). Depth is along z, not along the ray.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

from vla_data.errors import DataError
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.flow import inner_slices

Boxes = Float32[np.ndarray, "n 4"]
Depth = Float32[np.ndarray, "height width"]


def object_depths(
    depth: Depth,
    boxes: Boxes,
    masks: Bool[np.ndarray, "n height width"] | None,
    config: VelocityConfig,
) -> Float64[np.ndarray, "n"]:
    """Depth of each object, metres: a quantile of the inner part of its box, or the median within its mask.

    Zeros, NaN, Inf and depths out of range are no depth; NaN where too little of an object has one.
    """
    found = np.full(len(boxes), np.nan)
    for i, (rows, columns) in enumerate(inner_slices(boxes, depth.shape, config.inner)):
        part = depth[rows, columns].ravel() if masks is None else depth[masks[i]]
        good = part[(part >= config.nearest) & (part <= config.farthest)]  # NaN and Inf compare false
        if len(good) and len(good) >= config.min_valid * len(part):
            found[i] = np.quantile(good, config.quantile if masks is None else 0.5)
    return found


def centres(boxes: Boxes, masks: Bool[np.ndarray, "n height width"] | None) -> Float64[np.ndarray, "n 2"]:
    """Pixel that stands for each object: the middle of its mask where it has one, else of its box."""
    points = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
    for i in range(len(boxes) if masks is not None else 0):
        rows, columns = np.nonzero(masks[i])  # type: ignore[index]
        if len(rows):
            points[i] = columns.mean() + 0.5, rows.mean() + 0.5
    return points


def lift(
    pixels: Float64[np.ndarray, "n 2"],
    depths: Float64[np.ndarray, "n"],
    intrinsics: Float64[np.ndarray, "3 3"],
    config: VelocityConfig,
    believed: Float64[np.ndarray, "n"] | None = None,
) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 3 3"]]:
    """Points in the camera frame, metres, and their covariances.

    Depth varies by `depth_noise` of itself along the ray, the direction by `pixel_noise`. Of `believed`
    depths, where given: a depth that happens to come out small would be trusted too much.
    """
    focal = intrinsics[[0, 1], [0, 1]]
    slopes = (pixels - intrinsics[:2, 2]) / focal
    ray = np.concatenate([slopes, np.ones((len(pixels), 1))], axis=1)
    distance = depths if believed is None else believed
    along = ((config.depth_noise * distance) ** 2 + config.depth_floor**2)[:, None, None]
    aside = (config.pixel_noise * distance[:, None] / focal) ** 2
    spread = along * ray[:, :, None] * ray[:, None, :]
    spread[:, 0, 0] += aside[:, 0]
    spread[:, 1, 1] += aside[:, 1]
    spread[:, 2, 2] += 1e-12
    return ray * depths[:, None], spread


def to_world(
    points: Float64[np.ndarray, "n 3"], spread: Float64[np.ndarray, "n 3 3"], pose: np.ndarray
) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 3 3"]]:
    """The same in the world, by a 4×4 pose camera → world."""
    turn = pose[:3, :3]
    return points @ turn.T + pose[:3, 3], turn @ spread @ turn.T


def require_pose(pose: object) -> Float64[np.ndarray, "4 4"]:
    """A 4×4 rigid transform.

    Raises:
        DataError: it is of another shape, not finite or not rigid.
    """
    matrix = np.asarray(pose, np.float64)
    rigid = matrix.shape == (4, 4) and np.isfinite(matrix).all()
    rigid = rigid and np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3)
    if not rigid:
        raise DataError(
            "a camera pose is not a rigid transform",
            where="velocity",
            expected="a 4×4 matrix camera → world, its rotation orthonormal",
            got=f"shape {list(matrix.shape)}: {np.array2string(matrix, precision=2, threshold=16)}",
        )
    return matrix


def require_intrinsics(intrinsics: object) -> Float64[np.ndarray, "3 3"]:
    """3×3 intrinsics in pixels.

    Raises:
        DataError: of another shape, not finite, or a focal length is not positive.
    """
    matrix = np.asarray(intrinsics, np.float64)
    good = matrix.shape == (3, 3) and np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0
    if not good:
        raise DataError(
            "camera intrinsics cannot be used",
            where="velocity",
            expected="a 3×3 matrix in pixels with positive focal lengths",
            got=f"shape {list(matrix.shape)}",
        )
    return matrix
