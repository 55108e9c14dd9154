"""What a robot may do at most, and the nearest motion to a wanted one that stays within it.

An action becomes, number by number, a target and a speed: a number that is absolute is a target itself, a
difference adds to what is measured, a velocity is a speed. Speed, its change and the target are bounded in
this order of preference: the target first, then the change of speed, then the speed that was wanted. A target
can be bounded together with changes of speed because a speed is only allowed from which the robot can still
stop: with acceleration a and time step h, n+1 steps of falling speed from v cover
h·((n+1)·v − a·h·n(n+1)/2), n = ⌊v/(a·h)⌋, of which `_braking` is the inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.errors import ConfigError
from vla_data.types import ActionDim, ActionSpec, RobotSpec

NOWHERE = -1
ACCELERATION = 15.0  # rad/s²: of an arm whose description names none (a Panda may do 7.5 to 20)
AXES = "xyz"
Bound = tuple[float, float]


@dataclass(frozen=True)
class MotionLimits:
    """Limits of each number of an action, in its unit (metres, radians, …) and seconds.

    Args:
        low, high: of the target.
        speed: of the target.
        acceleration: change of speed in a second.
        measured: the number of the state to which a difference adds; −1 where there is none, and the target
            of a difference is then not bounded.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    speed: tuple[float, ...]
    acceleration: tuple[float, ...]
    measured: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = {len(v) for v in (self.low, self.high, self.speed, self.acceleration, self.measured)}
        numbers = (*self.low, *self.high, *self.speed, *self.acceleration)
        ordered = all(lo < hi for lo, hi in zip(self.low, self.high, strict=False))
        positive = all(v > 0 for v in (*self.speed, *self.acceleration))
        if len(sizes) != 1 or not ordered or not positive or any(np.isnan(numbers)):
            raise ConfigError(
                "a robot cannot be limited like this",
                where="MotionLimits",
                expected="as many of each, low below high, speed and acceleration above 0",
                got=f"{self}",
            )


def limits_of(robot: RobotSpec, *, acceleration: float = np.inf) -> MotionLimits:
    """The limits that a robot's description holds.

    A number of the action that is named like a joint has that joint's limits; a position along x, y or z
    those of `RobotSpec.workspace`; and none goes beyond what its range says.

    Args:
        acceleration: of joints and positions, in their units; grippers have none.
    """
    rows = [_of(dim, robot) for dim in robot.action.dims]
    changes = tuple(np.inf if d.quantity == "gripper" else acceleration for d in robot.action.dims)
    low, high, speed, measured = zip(*rows, strict=True)
    return MotionLimits(low, high, speed, changes, measured)


def _of(dim: ActionDim, robot: RobotSpec) -> tuple[float, float, float, int]:
    """Low, high, speed and where it is measured."""
    joint = next((j for j in robot.joints if j.name == dim.name.removeprefix("d")), None)
    low, high, speed = -np.inf, np.inf, np.inf
    if dim.mode == "absolute":
        low, high = dim.low * dim.scale, dim.high * dim.scale
    elif dim.mode == "delta":
        speed = max(abs(dim.low), abs(dim.high)) * dim.scale * robot.action.control_hz
    else:
        speed = max(abs(dim.low), abs(dim.high)) * dim.scale
    if joint is not None:
        low, high, speed = max(low, joint.low), min(high, joint.high), min(speed, joint.velocity)
    elif dim.quantity == "position" and dim.name[-1] in AXES and robot.workspace:
        bound = robot.workspace[AXES.index(dim.name[-1])]
        low, high = max(low, bound[0]), min(high, bound[1])
    return low, high, speed, _measured(dim, robot)


def _measured(dim: ActionDim, robot: RobotSpec) -> int:
    """Where the state holds what a number moves: by a joint's name, or the hand's position along an axis."""
    names = [d.name for d in robot.state]
    wanted = {dim.name.removeprefix("d"), dim.name}
    if dim.quantity == "position" and dim.name[-1] in AXES:
        wanted |= {f"hand_{dim.name[-1]}"}
    return next((i for i, name in enumerate(names) if name in wanted), NOWHERE)


class Limiter:
    """Wanted actions → the nearest allowed ones, one after the other.

    Args:
        action: what the actions mean.
        limits: as many as it has numbers.
    """

    def __init__(self, action: ActionSpec, limits: MotionLimits) -> None:
        if len(limits.low) != action.dim:
            raise ConfigError(
                "limits are of another robot",
                where="Limiter",
                expected=f"{action.dim} numbers",
                got=str(len(limits.low)),
            )
        self.action, self.limits = action, limits
        self._step = 1.0 / action.control_hz
        self._scale = np.array([d.scale for d in action.dims])
        self._absolute = np.array([d.mode == "absolute" for d in action.dims])
        self._delta = np.array([d.mode == "delta" for d in action.dims])
        self._measured = np.array(limits.measured)
        self._low, self._high = np.array(limits.low), np.array(limits.high)
        self._speed, self._change = np.array(limits.speed), np.array(limits.acceleration) * self._step
        self.target = np.full(action.dim, np.nan)
        self.velocity = np.zeros(action.dim)

    def begin(self, state: Float32[np.ndarray, "state_dim"]) -> None:
        """From standstill where the robot is. What nothing measures begins in the middle of its range."""
        known = self._measured != NOWHERE
        place = np.where(known, np.asarray(state, float)[self._measured * known], np.nan)
        with np.errstate(invalid="ignore"):
            middle = np.where(np.isfinite(self._low + self._high), (self._low + self._high) / 2, 0.0)
        self.target = np.where(known, place, middle)
        self.velocity = np.zeros(self.action.dim)

    def limited(
        self, wanted: Float32[np.ndarray, "action_dim"], state: Float32[np.ndarray, "state_dim"]
    ) -> Float32[np.ndarray, "action_dim"]:
        """The action to carry out now. `wanted` is finite; `begin` was called."""
        base = self._base(state)
        told = np.asarray(wanted, float) * self._scale
        speed = np.where(
            self._absolute, (told - base) / self._step, np.where(self._delta, told / self._step, told)
        )
        return self._carried_out(base, self._allowed(speed, base))

    def braked(self, state: Float32[np.ndarray, "state_dim"]) -> Float32[np.ndarray, "action_dim"]:
        """The action that slows down as much as is allowed; grippers stay."""
        base = self._base(state)
        return self._carried_out(base, self._allowed(np.zeros(self.action.dim), base))

    @property
    def still(self) -> bool:
        """Whether the last action asked for no motion."""
        return bool((np.abs(self.velocity) <= 1e-9).all())

    def _base(self, state: np.ndarray) -> Float64[np.ndarray, "action_dim"]:
        """What targets are counted from: the last target, or for differences what is measured."""
        follow = ~self._absolute & (self._measured != NOWHERE)
        return np.where(follow, np.asarray(state, float)[self._measured * follow], self.target)

    def _allowed(self, speed: np.ndarray, base: np.ndarray) -> np.ndarray:
        speed = np.clip(speed, -self._speed, self._speed)
        speed = np.clip(speed, self.velocity - self._change, self.velocity + self._change)
        bounded = self._absolute | (self._measured != NOWHERE)
        up = np.where(bounded, self._braking(self._high - base), np.inf)
        down = np.where(bounded, self._braking(base - self._low), np.inf)
        return np.minimum(np.maximum(speed, -down), up)

    def _braking(self, room: np.ndarray) -> np.ndarray:
        """The largest speed from which the robot stops within `room`; none where there is no room."""
        unit = self._change * self._step  # by how much a step becomes shorter
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            steps = np.where(np.isfinite(unit) & np.isfinite(room), np.maximum(room, 0) / unit, 0.0)
            whole = np.floor((np.sqrt(8 * steps + 1) - 1) / 2)
            slow = (steps / (whole + 1) + whole / 2) * self._change
            return np.where(np.isfinite(unit) & np.isfinite(room), slow, np.maximum(room, 0) / self._step)

    def _carried_out(self, base: np.ndarray, speed: np.ndarray) -> Float32[np.ndarray, "action_dim"]:
        moved = base + speed * self._step
        number = (
            np.where(self._absolute, moved, np.where(self._delta, speed * self._step, speed)) / self._scale
        )
        action = np.clip(number.astype(np.float32), self.action.low, self.action.high)
        self.target, self.velocity = moved, speed
        return action
