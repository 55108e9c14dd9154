"""Things that belong to no task, seen beside those that do.

They are drawn and never touched: what a policy is shown differs, what it has to do does not, and a fixed
initial state of a published protocol still fits its model.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SHAPES = ("sphere", "box", "cylinder", "capsule")
NEAR, FAR = 0.08, 0.3  # metres from a thing of the scene
ROOM = 0.03  # metres around one of them that is free
LEVEL = 0.004  # metres by which the ground below one may differ
ABOVE = 0.4  # metres over a thing: from there it is looked for ground
TRIES = 200


@dataclass(frozen=True, eq=False)
class Distractor:
    """A plain thing: metres and colour as MuJoCo takes them, upright, standing at `place` (world)."""

    shape: str
    size: np.ndarray
    place: np.ndarray
    colour: np.ndarray

    def draw(self, scene: Any) -> None:
        """Add it to an `mujoco.MjvScene` that was just filled, where there is room."""
        if scene.ngeom >= scene.maxgeom:
            return
        mujoco: Any = importlib.import_module("mujoco")
        kind = getattr(mujoco.mjtGeom, f"mjGEOM_{self.shape.upper()}")
        geom = scene.geoms[scene.ngeom]
        mujoco.mjv_initGeom(geom, kind, self.size, self.place, np.eye(3).ravel(), self.colour)
        geom.segid = scene.ngeom  # hides what is behind it, and is nothing itself
        scene.ngeom += 1


def scattered(
    model: Any, data: Any, bodies: Sequence[int], count: int, rng: np.random.Generator
) -> tuple[Distractor, ...]:
    """Up to `count` of them on free, level ground near things of a scene; fewer where it is full.

    Args:
        bodies: of the things.
    """
    found: list[Distractor] = []
    for _ in range(TRIES):
        if len(found) == count or not len(bodies):
            break
        middle = data.xpos[int(rng.choice(bodies))]
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(NEAR, FAR)
        there = middle + np.array([far * np.cos(way), far * np.sin(way), 0.0])
        shape = str(rng.choice(SHAPES))
        size, colour = rng.uniform(0.015, 0.03, 3), np.append(rng.uniform(0, 1, 3), 1.0)
        ground = _ground(model, data, there, float(size[:2].max()) + ROOM)
        apart = all(np.linalg.norm(there[:2] - other.place[:2]) > 2 * (NEAR - ROOM) for other in found)
        if ground is None or not apart:
            continue
        place = np.array([there[0], there[1], ground + _half_height(shape, size)])
        found.append(Distractor(shape, size, place, colour.astype(np.float32)))
    return tuple(found)


def _half_height(shape: str, size: np.ndarray) -> float:
    """As MuJoCo reads sizes: radius; half sides; radius and half length."""
    return float(
        {"sphere": size[0], "box": size[2], "cylinder": size[1], "capsule": size[0] + size[1]}[shape]
    )


def _ground(model: Any, data: Any, there: np.ndarray, room: float) -> float | None:
    """How high what stands still is below a place; None where that is not level, or something is near."""
    around = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)]
    heights = [_hit(model, data, there + np.array([x * room, y * room, ABOVE])) for x, y in around]
    if None in heights:
        return None
    known = np.array(heights, float)
    level = np.ptp(known) <= LEVEL and there[2] - ABOVE <= known[0] <= there[2] + LEVEL
    return float(known[0]) if level else None


def _hit(model: Any, data: Any, start: np.ndarray) -> float | None:
    """The height of what lies below; None where that is nothing, or something that can move."""
    mujoco: Any = importlib.import_module("mujoco")
    geom = np.full(1, -1, np.int32)
    far = mujoco.mj_ray(model, data, start, np.array([0.0, 0.0, -1.0]), None, 1, -1, geom)
    if geom[0] < 0 or model.body_weldid[model.geom_bodyid[geom[0]]] != 0:
        return None
    return float(start[2] - far)
