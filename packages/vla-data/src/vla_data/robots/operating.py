"""A person drives: actions as they come, each trusted for a short while; alone, or instead of a policy."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

import numpy as np

from vla_data.errors import ConfigError
from vla_data.robots.motions import Action, Motion, State
from vla_data.types import Observation, RobotSpec, StepResult

TRUSTED = 0.2  # seconds


@runtime_checkable
class ByHand(Protocol):
    """A motion of which a person does a part: `by_hand` says whether the last action was theirs."""

    by_hand: bool


@runtime_checkable
class Interruptible(Motion, Protocol):
    """A motion that somebody may take over from; `forget` says that they did."""

    def forget(self) -> None: ...


class OperatorMotion:
    """The last action that a person asked for, until it is older than `TRUSTED`.

    Actions come from another thread than the loop's.
    """

    looks = False
    by_hand = True

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

    def did(self, action: Action, result: StepResult) -> None:
        """Where nobody knows whether it is done, a person says so."""
        if result.success:
            self.state = "succeeded"

    def close(self) -> None:
        self.state = "ended"


class TakenOver:
    """A policy drives, and a person may take over at any moment: by an action, until there are none.

    What the policy had planned is then forgotten; it looks anew when the person lets go. The steps a person
    did are marked where they are recorded, as DAgger's kin need them (Kelly et al. 2019, arXiv:1810.02890).
    """

    def __init__(self, policy: Interruptible, operator: OperatorMotion) -> None:
        self._policy, self._operator = policy, operator
        self.by_hand = False

    @property
    def state(self) -> State:
        return (
            self._operator.state if self.by_hand and self._policy.state == "waiting" else self._policy.state
        )

    @property
    def said(self) -> str:
        return "a person drives" if self.by_hand else self._policy.said

    @property
    def looks(self) -> bool:
        return not self.by_hand and self._policy.looks

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        wanted = self._operator.next(seen, last)
        if wanted is not None and not self.by_hand:
            self._policy.forget()
        self.by_hand = wanted is not None
        return wanted if wanted is not None else self._policy.next(seen, last)

    def did(self, action: Action, result: StepResult) -> None:
        self._policy.did(action, result)

    def close(self) -> None:
        self._operator.close()
        self._policy.close()
