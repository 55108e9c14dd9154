"""A person at a terminal who arranges scenes for a robot and judges what it did."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

from vla_data.robots.scene import StoppedByPersonError
from vla_data.types import StepResult

if TYPE_CHECKING:
    from vla_data.robots.scene import Verdict
    from vla_data.types import Trial

QUIT = "q"
VERDICTS: dict[str, Verdict] = {"y": "success", "n": "failure", "a": "again"}


class PersonScene:
    """A `Scene`: Enter begins a trial, Enter ends it early, y/n/a judges it, q ends the session.

    Questions go to standard error, so that standard output stays the command's own.
    """

    def arrange(self, trial: Trial) -> None:
        self._forget()
        asked = f"\nnext: {trial.instruction} ({trial.task}). Arrange the scene, then Enter (q: stop here): "
        if self._answer(asked) == QUIT:
            raise StoppedByPersonError
        self._tell("running; Enter ends it early")

    def watch(self, trial: Trial) -> StepResult:
        if select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
            return StepResult(0.0, success=False, ended=True)
        return StepResult(0.0, success=False)

    def judge(self, trial: Trial) -> Verdict:
        while True:
            said = self._answer("did it succeed? y, n, a (again, does not count), q (stop here): ")
            if said == QUIT:
                raise StoppedByPersonError
            if said in VERDICTS:
                return VERDICTS[said]

    def _answer(self, question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:  # nobody is there
            raise StoppedByPersonError
        return line.strip().lower()

    def _tell(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _forget(self) -> None:
        """Lines typed before the question do not answer it."""
        while sys.stdin.isatty() and select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
