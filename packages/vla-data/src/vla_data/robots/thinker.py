"""A policy asked beside a loop that goes on: one question at a time, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float32
from numpy import ndarray

from vla_data.errors import VlaError
from vla_data.protocols import Policy
from vla_data.rollout_checks import checked_chunks
from vla_data.types import ObservationWindow, Trial


@dataclass(frozen=True, eq=False)
class Answer:
    """A chunk [action_horizon, action_dim], or what went wrong, to the question with this mark, which came at
    `time`."""

    mark: int
    time: float
    actions: Float32[ndarray, "horizon action_dim"] | None
    error: str = ""


class Thinker:
    """Asks a policy; the answer is looked for, never waited for.

    A policy that raised is opened anew for the next question: a connection that broke is made again.

    Args:
        open_policy: gives the policy; called in the thread that asks it.
        clock: by which answers are stamped.
    """

    def __init__(self, open_policy: Callable[[], Policy], clock: Callable[[], float]) -> None:
        self._open, self._clock = open_policy, clock
        self._policy: Policy | None = None
        self._asked = threading.Condition()
        self._question: tuple[int, ObservationWindow, int | None] | None = None
        self._answer: Answer | None = None
        self._busy = self._closed = False
        threading.Thread(target=self._think, daemon=True, name="policy").start()

    @property
    def busy(self) -> bool:
        """Whether a question is being thought about."""
        return self._busy

    def ask(self, mark: int, window: ObservationWindow, seed: int | None = None) -> None:
        """Begin to think; with a seed an episode begins.

        Args:
            mark: given back with the answer.
        """
        with self._asked:
            assert not self._busy, "one question at a time"
            self._question, self._answer, self._busy = (mark, window, seed), None, True
            self._asked.notify()

    def answer(self) -> Answer | None:
        """The answer, once; None where there is none yet."""
        with self._asked:
            found, self._answer = self._answer, None
            return found

    def close(self) -> None:
        """End the thread, once it thought to the end."""
        with self._asked:
            self._closed = True
            self._asked.notify()

    def _think(self) -> None:
        while True:
            with self._asked:
                self._asked.wait_for(lambda: self._question is not None or self._closed)
                if self._closed:
                    break
                assert self._question is not None
                question, self._question = self._question, None
            answer = self._answered(*question)
            with self._asked:
                self._answer, self._busy = answer, False
        self._hang_up()

    def _answered(self, mark: int, window: ObservationWindow, seed: int | None) -> Answer:
        try:
            if self._policy is None:
                self._policy = self._open()
                seed = 0 if seed is None else seed  # to a policy that is new, the episode is as well
            if seed is not None:
                self._policy.reset([window.slot], [seed])
            name, spec = type(self._policy).__name__, self._policy.input_spec
            (chunk,) = checked_chunks(name, self._policy.infer([window]), spec, [self._trial(window)])
            return Answer(mark, self._clock(), chunk)
        except VlaError as error:
            told = str(error)
        except Exception as error:  # whatever a policy does, the loop has to go on
            told = f"{type(error).__name__}: {error}"
        self._hang_up()
        return Answer(mark, self._clock(), None, told)

    @staticmethod
    def _trial(window: ObservationWindow) -> Trial:
        return Trial("now", 0, window.latest.instruction)

    def _hang_up(self) -> None:
        close = getattr(self._policy, "close", None)
        self._policy = None
        if close is not None:
            close()
