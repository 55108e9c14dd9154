"""The hand of a LIBERO environment as a script moves it: one action a step, until it is there.

The controller takes steps of at most 5 cm and half a radian in world axes; a step that asks for what is left
comes to rest where it should.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.sim.libero_shapes import Shapes

STEP, TURN = 0.05, 0.5  # metres and radians that an action of 1 asks for
OPEN, CLOSED = -1.0, 1.0
GRIP_STEPS = 10
STANDS, STUCK = 0.0008, 6  # metres a step: slower than this it stands; steps of that: something is in the way
NEARLY_TURNED = 0.2  # radians: a hand that still turns may stand
POINTS_DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])  # fingers close along y
HAND, FOOT = "gripper0_grip_site", "robot0_base"

Moves = Iterator[Float32[np.ndarray, "7"]]


class Arm:
    """Moves as generators of actions; each looks at the simulation anew before every action.

    Args:
        model, data: of the simulation.
        begins: the hand stands as a scene is arranged, pointing down; else as something left it.

    Attributes:
        base: the foot of the arm, world frame, metres.
        doing: what it is about, in words.
    """

    def __init__(self, model: Any, data: Any, *, begins: bool = True) -> None:
        self.model, self.data, self.shapes = model, data, Shapes(model)
        self._site = model.site(HAND).id
        self.down = self.rotation if begins else POINTS_DOWN
        self.base = np.array(data.xpos[model.body(FOOT).id])
        self.grip, self.doing = OPEN, ""

    @property
    def position(self) -> Float64[np.ndarray, "3"]:
        """Between the finger tips, world frame, metres."""
        return self.data.site_xpos[self._site].copy()

    @property
    def rotation(self) -> Float64[np.ndarray, "3 3"]:
        return self.data.site_xmat[self._site].reshape(3, 3).copy()

    def go(
        self,
        position: np.ndarray,
        rotation: np.ndarray | None = None,
        near: float = 0.012,
        limit: int = 60,
        slow: float = 1.0,
    ) -> Moves:
        """Until the hand is within `near` of a position, stands still on the way, or for `limit` steps.

        Args:
            rotation: how the hand shall stand; None leaves it as it is.
            slow: share of full speed.
        """
        turn = self.rotation if rotation is None else rotation
        still, last = 0, self.position
        for _ in range(limit):
            left, twist = position - self.position, rotation_vector(turn @ self.rotation.T)
            if np.linalg.norm(left) < near and np.linalg.norm(twist) < 0.08:
                return
            still = still + 1 if np.linalg.norm(self.position - last) < STANDS else 0
            if still >= STUCK and np.linalg.norm(twist) < NEARLY_TURNED:
                return
            last = self.position
            yield self._action(left / STEP, twist / TURN, slow)

    def wait(self, steps: int) -> Moves:
        """Stand still."""
        place, turn = self.position, self.rotation
        for _ in range(steps):
            left, twist = place - self.position, rotation_vector(turn @ self.rotation.T)
            yield self._action(left / STEP, twist / TURN)

    def close(self) -> Moves:
        """Close the gripper."""
        self.grip = CLOSED
        yield from self.wait(GRIP_STEPS)

    def open(self) -> Moves:
        """Open the gripper."""
        self.grip = OPEN
        yield from self.wait(GRIP_STEPS)

    def open_first(self) -> Moves:
        """Open the gripper where it is closed."""
        if self.grip != OPEN:
            yield from self.open()

    def close_first(self) -> Moves:
        """Close the gripper where it is open."""
        if self.grip != CLOSED:
            yield from self.close()

    def still(self) -> Float32[np.ndarray, "7"]:
        """The action that changes nothing."""
        return self._action(np.zeros(3), np.zeros(3))

    def _action(self, move: np.ndarray, turn: np.ndarray, slow: float = 1.0) -> Float32[np.ndarray, "7"]:
        moved = move / max(1.0, float(np.abs(move).max()) / slow)  # straight, as fast as it may
        return np.array([*moved, *turn.clip(-1, 1), self.grip], np.float32)


def up(height: float) -> Float64[np.ndarray, "3"]:
    """Metres upwards, as a vector."""
    return np.array([0.0, 0.0, height])


def rotation_vector(rotation: np.ndarray) -> Float64[np.ndarray, "3"]:
    """Axis times angle, radians."""
    cosine = np.clip((np.trace(rotation) - 1) / 2, -1, 1)
    angle = float(np.arccos(cosine))
    axis = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    length = float(np.linalg.norm(axis))
    return axis / length * angle if length > 1e-9 else np.zeros(3)


def turned(yaw: float) -> Float64[np.ndarray, "3 3"]:
    """A rotation about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def half_turn(angle: float) -> float:
    """The same line within a quarter turn of 0, radians: fingers are alike."""
    return float((angle + np.pi / 2) % np.pi - np.pi / 2)
