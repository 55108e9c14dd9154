"""Who arranges a scene before a trial, and who says whether it succeeded: a person, or a simulator."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from vla_data.robots.sim_driver import SimDriver
from vla_data.types import StepResult, Trial

Verdict = Literal["success", "failure", "again"]
Judge = Literal["simulator", "agent"]  # who says of a robot that agents command whether a task was done


class StoppedByPersonError(Exception):
    """A person ends the session; what was finished is kept."""


@runtime_checkable
class Scene(Protocol):
    """The world around a robot, for one trial after the other.

    `arrange` returns when the robot may begin, or raises StoppedByPersonError. `watch` is asked after every
    step and says whether the trial is over. `judge` says what it came to; "again" does not count it.
    """

    def arrange(self, trial: Trial) -> None: ...
    def watch(self, trial: Trial) -> StepResult: ...
    def judge(self, trial: Trial) -> Verdict: ...


class SimScene:
    """A simulator arranges by the trial's seed and knows when its task is done."""

    def __init__(self, driver: SimDriver) -> None:
        self._driver = driver
        self._succeeded = False

    def arrange(self, trial: Trial) -> None:
        self._driver.place(trial)
        self._succeeded = False

    def watch(self, trial: Trial) -> StepResult:
        self._succeeded = self._succeeded or self._driver.result.success
        return self._driver.result

    def judge(self, trial: Trial) -> Verdict:
        return "success" if self._succeeded else "failure"
