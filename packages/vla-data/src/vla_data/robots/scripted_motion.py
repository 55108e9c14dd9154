"""A simulator's scripted expert as a motion: asked in the loop itself, since it answers at once."""

from __future__ import annotations

import numpy as np

from vla_data.protocols import Policy
from vla_data.robots.motions import Action, State
from vla_data.types import Observation, ObservationWindow, StepResult


class ScriptedMotion:
    """A task, carried out by a policy that reads the simulator's own state, one action at a time.

    Args:
        steps: after which it ends.
    """

    looks = False

    def __init__(self, expert: Policy, steps: int) -> None:
        self._expert, self._left, self._begun = expert, steps, False
        self.state: State = "moving"
        self.said = ""

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        if not self._begun:
            self._expert.reset([0], [0])
            self._begun = True
        past = np.zeros((self._expert.input_spec.past, self._expert.input_spec.robot.action.dim), np.float32)
        (chunk,) = self._expert.infer([ObservationWindow((seen,), past)])
        return chunk.actions[0]

    def did(self, action: Action, result: StepResult) -> None:
        self._left -= 1
        if result.success:
            self.state = "succeeded"
        elif result.ended or self._left <= 0:
            self.state, self.said = "ended", "all steps are done"

    def forget(self) -> None:
        """It plans nothing ahead."""

    def close(self) -> None:
        """Nothing is held."""
