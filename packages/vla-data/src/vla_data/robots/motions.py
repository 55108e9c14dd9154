"""What moves a robot, one control step after the other: a policy, a way to a place, the gripper, a person."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError
from vla_data.types import Observation, RobotSpec, StepResult

Action = Float32[np.ndarray, "action_dim"]
State = Literal["moving", "waiting", "succeeded", "ended", "failed"]
NEAR = 0.005  # metres or radians: a place is reached
GAIN = 0.1  # of what is left, in a control step: an arm lags behind its target, and would swing
SETTLED = 5  # steps in a row
AXES = "xyz"


@runtime_checkable
class Motion(Protocol):
    """Asked by the control loop, in its thread, once in a control step.

    Args:
        state: "waiting" where it has nothing to send for now; after "succeeded", "ended" or "failed" it is
            not asked again.
        said: why, in words.
        looks: whether it wants pictures with the next observation.
    """

    @property
    def state(self) -> State: ...
    @property
    def said(self) -> str: ...
    @property
    def looks(self) -> bool: ...
    def next(self, seen: Observation, last: Action | None) -> Action | None: ...
    def did(self, action: Action, result: StepResult) -> None: ...
    def close(self) -> None: ...


class Reaching:
    """The hand to a place, or joints to angles, as straight as the limits let it.

    Args:
        robot: its state tells where the hand or the joints are.
        target: name of a number of the action (`x` for the hand's `dx`, or a joint's name) → metres or
            radians, world.
        seconds: after which it gives up.

    Raises:
        ConfigError: the robot's action cannot move that, or its state does not tell where it is.
    """

    looks = False

    def __init__(self, robot: RobotSpec, target: dict[str, float], seconds: float = 20.0) -> None:
        self._spec = robot.action
        self._aims = [self._aim(robot, name, value) for name, value in target.items()]
        self._steps = round(seconds * robot.action.control_hz)
        self._robot = robot
        self.state: State = "moving"
        self.said = ""
        self._left, self._settled = np.inf, 0
        self._told = dict[int, float]()  # last, by this motion: it runs ahead of what is measured

    @staticmethod
    def _aim(robot: RobotSpec, name: str, value: float) -> tuple[int, int, float]:
        """Number of the action, of the state, and the target."""
        action = [d.name for d in robot.action.dims]
        state = [d.name for d in robot.state]
        hand = name in AXES
        moves = f"d{name}" if f"d{name}" in action else name
        told = f"hand_{name}" if hand else name
        if moves not in action or told not in state:
            known = [d for d in action if d.removeprefix("d") in AXES or d in state]
            raise ConfigError(
                "a robot cannot be moved there",
                where=robot.name,
                expected=f"some of {', '.join(k.removeprefix('d') for k in known) or 'nothing'}",
                got=name,
            )
        return action.index(moves), state.index(told), float(value)

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        action = resting(self._robot, seen, last)
        lefts = []
        for number, measured, target in self._aims:
            dim, left = self._spec.dims[number], target - float(seen.state[measured])
            lefts.append(abs(left))
            before = self._told.get(number, float(seen.state[measured]))
            further = before + (target - before) * GAIN
            self._told[number] = further
            step = left * GAIN
            wanted = {"absolute": further, "delta": step, "velocity": step * self._spec.control_hz}[dim.mode]
            action[number] = np.clip(wanted / dim.scale, dim.low, dim.high)
        self._left = max(lefts)
        return action

    def did(self, action: Action, result: StepResult) -> None:
        self._steps -= 1
        self._settled = self._settled + 1 if self._left <= NEAR else 0
        if self._settled >= SETTLED:
            self.state, self.said = "succeeded", f"within {self._left * 1000:.0f} mm or mrad"
        elif self._steps <= 0:
            self.state, self.said = "failed", f"still {self._left * 1000:.0f} mm or mrad away"

    def close(self) -> None:
        """Nothing is held."""


class Gripping:
    """Close or open the gripper.

    Raises:
        ConfigError: the robot has none.
    """

    looks = False

    def __init__(self, robot: RobotSpec, close: bool, seconds: float = 0.5) -> None:
        sign = robot.action.gripper_closes
        if sign is None:
            raise ConfigError("a robot has no gripper", where=robot.name)
        self._robot, self._sign = robot, sign if close else -sign
        self._steps = max(1, round(seconds * robot.action.control_hz))
        self.state: State = "moving"
        self.said = ""

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        action = resting(self._robot, seen, last)
        for i, dim in enumerate(self._robot.action.dims):
            if dim.quantity == "gripper":
                action[i] = dim.high if self._sign > 0 else dim.low
        return action

    def did(self, action: Action, result: StepResult) -> None:
        self._steps -= 1
        if self._steps <= 0:
            self.state = "succeeded"

    def close(self) -> None:
        """Nothing is held."""


def resting(robot: RobotSpec, seen: Observation, last: Action | None) -> Action:
    """The action that asks for no motion: targets are where the robot is, the gripper does what it did."""
    state = {d.name: float(v) for d, v in zip(robot.state, seen.state, strict=True)}
    action = np.zeros(robot.action.dim, np.float32)
    for i, dim in enumerate(robot.action.dims):
        before = 0.0 if last is None else float(last[i])
        if dim.quantity == "gripper":
            known = last is None and dim.mode == "absolute" and dim.name in state
            action[i] = state[dim.name] / dim.scale if known else before
        elif dim.mode == "absolute":
            action[i] = state[dim.name] / dim.scale if dim.name in state else before
    return action
