"""A person moves a robot: by keys, by a gamepad, or by an arm that leads another.

What a person holds is a `Leader`: asked at the control rate for an action, it says None while hands are off.
Its actions pass the safety kernel like a policy's.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.motions import AXES, Action, resting
from vla_data.types import Observation, RobotSpec

HELD = 0.15  # seconds that a key counts as held: terminals repeat keys, and never say that one was let go
SPEED = 0.6  # of what a number of the action may be
JOINT_STEP = 0.4  # rad/s (m/s) of a joint that a key moves
DEAD = 0.12  # of a stick's way that means nothing
HAND_KEYS = {"d": ("x", 1), "a": ("x", -1), "w": ("y", 1), "s": ("y", -1), "r": ("z", 1), "f": ("z", -1)}
UP, DOWN = "1234567890", "qwertyuiop"
GRIPPER_KEY = " "
STICKS = {
    0: ("x", 1),
    1: ("y", -1),
    4: ("z", -1),
}  # axes of Linux's joystick interface, as most pads number them
BUTTON, AXIS = 1, 2  # kinds of its events
EVENT = struct.Struct("IhBB")  # Documentation/input/joydev: time, value, kind, number


@runtime_checkable
class Leader(Protocol):
    """What a person holds."""

    def action(
        self, seen: Observation, last: Float32[np.ndarray, "action_dim"] | None
    ) -> Float32[np.ndarray, "action_dim"] | None: ...
    def close(self) -> None: ...


class _Wishes:
    """Directions in which a person pushes, and whether the gripper is to be closed, as an action."""

    def __init__(self, robot: RobotSpec) -> None:
        self.robot = robot
        self.closed: bool | None = None  # as it is, until the person says otherwise
        self.hand = {
            d.name.removeprefix("d"): i for i, d in enumerate(robot.action.dims) if d.name[-1] in AXES
        }
        self.joints = [i for i, d in enumerate(robot.action.dims) if d.quantity == "joint"]

    def toggle(self) -> None:
        """The gripper the other way; closed at first."""
        self.closed = not self.closed

    def action(self, seen: Observation, pushed: dict[int, float], last: Action | None) -> Action:
        """The action that moves numbers of it, each by −1 … 1 of what a person's push is worth."""
        action = resting(self.robot, seen, last)
        spec = self.robot.action
        for number, push in pushed.items():
            dim = spec.dims[number]
            if dim.mode == "absolute":
                action[number] += push * JOINT_STEP / spec.control_hz * 4 / dim.scale  # ahead of what lags
            else:
                action[number] = push * SPEED * (dim.high if push > 0 else -dim.low)
        sign = spec.gripper_closes
        for number, dim in enumerate(spec.dims):
            if dim.quantity == "gripper" and sign is not None and self.closed is not None:
                action[number] = dim.high if (sign > 0) == self.closed else dim.low
        return np.clip(action, spec.low, spec.high)


class Keyboard:
    """Keys: w a s d r f move the hand (or 1 2 3 … and q w e … each joint, up and down), space the gripper.

    Args:
        keys: what was typed since it was last asked.

    Raises:
        ConfigError: no key moves this robot.
    """

    def __init__(
        self, robot: RobotSpec, keys: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wishes, self._keys, self._clock = _Wishes(robot), keys, clock
        self._bound = self._bindings()
        self._until: dict[int, tuple[float, float]] = {}  # number → until when, which way
        self._touched = -np.inf

    def help(self) -> str:
        """Which key does what, in a line."""
        names = self._wishes.robot.action.dims
        told = [f"{key} {names[n].name}{'+' if way > 0 else '-'}" for key, (n, way) in self._bound.items()]
        return ", ".join([*told, "space gripper"])

    def action(self, seen: Observation, last: Action | None) -> Action | None:
        now = self._clock()
        for key in self._keys():
            if key == GRIPPER_KEY:
                self._wishes.toggle()
                self._touched = now + HELD
            elif key in self._bound:
                number, way = self._bound[key]
                self._until[number] = (now + HELD, way)
        held = {n: way for n, (until, way) in self._until.items() if until >= now}
        return self._wishes.action(seen, held, last) if held or now < self._touched else None

    def close(self) -> None:
        """Nothing is held."""

    def _bindings(self) -> dict[str, tuple[int, float]]:
        hand, joints = self._wishes.hand, self._wishes.joints
        bound = {k: (hand[axis], float(way)) for k, (axis, way) in HAND_KEYS.items() if axis in hand}
        if not bound:
            for number, up, down in zip(joints, UP, DOWN, strict=False):
                bound |= {up: (number, 1.0), down: (number, -1.0)}
        if not bound:
            raise ConfigError("no key moves this robot", where=self._wishes.robot.name)
        return bound


class Gamepad:
    """Sticks move the hand (left: x and y, right: z), any button the gripper; Linux's joystick interface.

    Args:
        path: "/dev/input/js0".

    Raises:
        RobotError: there is none, or it may not be read.
        ConfigError: the robot has no hand that sticks could move.
    """

    def __init__(self, robot: RobotSpec, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._wishes, self._pushed = _Wishes(robot), dict[int, float]()
        self._clock, self._touched = clock, -np.inf
        self._bound = {n: (self._wishes.hand[a], w) for n, (a, w) in STICKS.items() if a in self._wishes.hand}
        if not self._bound:
            raise ConfigError("no stick moves this robot", where=robot.name, next_step="--teleop keyboard")
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise RobotError("a gamepad cannot be read", where=str(path), got=str(error)) from error

    def action(self, seen: Observation, last: Action | None) -> Action | None:
        for _, value, kind, number in self._events():
            if kind == AXIS and number in self._bound:
                target, way = self._bound[number]
                push = value / 32767 * way
                self._pushed[target] = push if abs(push) > DEAD else 0.0
            elif kind == BUTTON and value:
                self._wishes.toggle()
                self._touched = self._clock() + HELD
        pushed = {n: p for n, p in self._pushed.items() if p}
        return self._wishes.action(seen, pushed, last) if pushed or self._clock() < self._touched else None

    def close(self) -> None:
        os.close(self._file)

    def _events(self) -> list[tuple[int, int, int, int]]:
        try:
            data = os.read(self._file, EVENT.size * 64)
        except BlockingIOError:
            return []
        except OSError as error:
            raise RobotError("a gamepad is gone", got=str(error)) from error
        whole = len(data) // EVENT.size * EVENT.size
        return list(EVENT.iter_unpack(data[:whole]))


class LeaderArm:
    """An arm that a person moves by hand and another follows, joint by joint.

    Args:
        robot: that follows; its action is where joints are to be.
        leader: an arm's own interface, connected; its state names the same joints.

    Raises:
        ConfigError: their joints are not the same.
    """

    def __init__(self, robot: RobotSpec, leader: Driver) -> None:
        self._leader, self._robot = leader, robot
        told = [d.name for d in leader.spec.state]
        missing = [d.name for d in robot.action.dims if d.mode != "absolute" or d.name not in told]
        if missing:
            raise ConfigError(
                "an arm cannot lead this robot",
                where=f"{leader.spec.name} before {robot.name}",
                expected="a state that names each joint the robot is told",
                got=f"not {', '.join(missing)}",
            )
        self._numbers = [told.index(d.name) for d in robot.action.dims]
        self._scale = np.array([d.scale for d in robot.action.dims])

    def action(self, seen: Observation, last: Action | None) -> Action | None:
        state = self._leader.read(images=False).state
        wanted = (state[self._numbers] / self._scale).astype(np.float32)
        return np.clip(wanted, self._robot.action.low, self._robot.action.high)

    def close(self) -> None:
        self._leader.close()
