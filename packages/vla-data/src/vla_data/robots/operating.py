"""A person drives: actions as they come, each trusted for a short while."""

from __future__ import annotations

import time

import numpy as np

from vla_data.errors import ConfigError
from vla_data.robots.motions import Action, State
from vla_data.types import Observation, RobotSpec, StepResult

TRUSTED = 0.2  # seconds


class OperatorMotion:
    """The last action that a person asked for, until it is older than `TRUSTED`.

    Actions come from another thread than the loop's.
    """

    looks = False

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._wanted: tuple[float, Action] | None = None
        self.state: State = "waiting"
        self.said = ""

    def want(self, action: object) -> None:
        """The next action, [action_dim].

        Raises:
            ConfigError: it is not one of the robot's.
        """
        dim = self._robot.action.dim
        whole = isinstance(action, np.ndarray) and action.dtype.kind in "iuf" and action.shape == (dim,)
        if not whole or not np.isfinite(np.asarray(action, float)).all():
            raise ConfigError("an action is not one of the robot", expected=f"{dim} finite numbers")
        self._wanted = time.monotonic(), np.asarray(action, np.float32)

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        wanted = self._wanted
        if wanted is None or time.monotonic() - wanted[0] > TRUSTED:
            self.state = "waiting"
            return None
        self.state = "moving"
        return wanted[1]

    def did(self, result: StepResult) -> None:
        """A person says when it is over."""

    def close(self) -> None:
        self.state = "ended"
