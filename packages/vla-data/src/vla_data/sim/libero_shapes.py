"""The shapes that LIBERO's things collide with, as points in the world."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
from jaxtyping import Float64

RING = 12  # points around a round shape
SPACING = 0.015  # metres between points of a flat one
ROBOT = ("robot0_", "gripper0_", "mount0_")
GROUND = ("world", "table", "floor")

Points = Float64[np.ndarray, "_ 3"]


class Shapes:
    """Points on a model's collision shapes.

    Args:
        model: an `mujoco.MjModel`.
    """

    def __init__(self, model: Any) -> None:
        self._kinds: Any = importlib.import_module("mujoco").mjtGeom
        self.model = model
        self._names = [model.body(i).name for i in range(model.nbody)]
        self._local: dict[int, Points] = {}
        for geom in range(model.ngeom):
            body = self._names[model.geom_bodyid[geom]]
            if model.geom_contype[geom] and not body.startswith(ROBOT) and body not in GROUND:
                self._local[geom] = self._corners(geom)

    def points(self, data: Any, name: str) -> Points:
        """Of all shapes of the bodies whose names begin with `name`, world frame, metres."""
        chosen = [g for g in self._local if self._names[self.model.geom_bodyid[g]].startswith(name)]
        return self._world(data, chosen)

    def others(self, data: Any, name: str) -> Points:
        """Of all but those of one thing, the robot and what everything stands on."""
        chosen = [g for g in self._local if not self._names[self.model.geom_bodyid[g]].startswith(name)]
        return self._world(data, chosen)

    def _world(self, data: Any, geoms: list[int]) -> Points:
        parts = [self._local[g] @ data.geom_xmat[g].reshape(3, 3).T + data.geom_xpos[g] for g in geoms]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    def _corners(self, geom: int) -> Points:
        """Of one shape, in its own axes."""
        model, kinds = self.model, self._kinds
        kind, size = model.geom_type[geom], model.geom_size[geom]
        if kind == kinds.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
            return np.array(model.mesh_vert[first : first + count], float)
        if kind in (kinds.mjGEOM_CYLINDER, kinds.mjGEOM_CAPSULE):
            tall = size[1] + (size[0] if kind == kinds.mjGEOM_CAPSULE else 0)
            turns = np.linspace(0, 2 * np.pi, RING, endpoint=False)
            ring = np.stack([np.cos(turns) * size[0], np.sin(turns) * size[0]], axis=1)
            return np.concatenate([np.c_[ring, np.full(RING, z)] for z in (-tall, tall)])
        return _surface(np.full(3, size[0]) if kind == kinds.mjGEOM_SPHERE else np.array(size, float))


def _surface(half: np.ndarray) -> Points:
    """Points on the sides of a box, its corners among them, at most `SPACING` apart."""
    ticks = [np.linspace(-h, h, 1 + max(1, math.ceil(2 * h / SPACING))) for h in half]
    grid = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[(np.abs(grid) >= half - 1e-9).any(axis=1)]
