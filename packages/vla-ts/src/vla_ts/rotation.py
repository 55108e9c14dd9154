"""Errors of rotations as what they are: the angle of the turn between two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.types import ActionSpec
from vla_ts.resample import rotation_groups

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation


def rotation_angles(
    one: Float32[np.ndarray, "n dim"], other: Float32[np.ndarray, "n dim"], spec: ActionSpec
) -> Float64[np.ndarray, "n groups"] | None:
    """Geodesic angle in radians between the rotations in two sets of actions.

    One column per rotation of the spec; None where it holds no rotation, or does not say its form.
    """
    groups = rotation_groups(spec)
    if not groups:
        return None
    scale = np.array([d.scale for d in spec.dims])
    columns = []
    for group in groups:
        a, b = (_rotations((x[:, group] * scale[group]).astype(np.float64), spec) for x in (one, other))
        columns.append((a.inv() * b).magnitude())
    return np.stack(columns, axis=1)


def _rotations(numbers: np.ndarray, spec: ActionSpec) -> Rotation:
    from scipy.spatial.transform import Rotation

    if spec.rotation == "euler_xyz":
        return Rotation.from_euler("xyz", numbers)
    if spec.rotation == "axis_angle":
        return Rotation.from_rotvec(numbers)
    if spec.rotation == "quaternion_xyzw":
        still = np.linalg.norm(numbers, axis=1) == 0  # no rotation has this; a broken code may decode to it
        return Rotation.from_quat(np.where(still[:, None], [0, 0, 0, 1], numbers))
    return Rotation.from_matrix(_from_columns(numbers))


def _from_columns(numbers: np.ndarray) -> np.ndarray:
    """Matrices from their first two columns (Zhou et al. 2019, arXiv:1812.07035), made orthonormal."""
    a, b = numbers[:, :3], numbers[:, 3:]
    x = a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    b = b - (x * b).sum(1, keepdims=True) * x
    y = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-12)
    return np.stack([x, y, np.cross(x, y)], axis=2)
