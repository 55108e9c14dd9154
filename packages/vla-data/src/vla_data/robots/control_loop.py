"""The loop that moves a robot: at the control rate, through the safety kernel, whoever thinks how slowly.

In every control step it reads where the robot is, asks the motion that has the lease for an action, commands
it and ticks the kernel. Everything that touches the robot's cameras happens in its thread; others ask for it
(`ControlLoop.ask`). It depends on no torch and no network.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_data.errors import VlaError
from vla_data.robots.cadence import Cadence, CadenceReport
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import RefusedError, SafetyKernel
from vla_data.robots.motions import Motion
from vla_data.robots.operating import ByHand
from vla_data.robots.policy_motion import PolicyMotion
from vla_data.types import Observation, StepResult

log = logging.getLogger(__name__)
MOSTLY_STALE = 1.0  # seconds in which all observations are stale: its motion fails
WISHES = 64  # that wait at once


@dataclass(frozen=True)
class MotionReport:
    """What became of a motion.

    Args:
        number: counted from 1; 0 where there was none yet.
        state: of the motion, or "stopped", "left" (its lease ran out or was given back), "replaced".
        steps: carried out.
        said: why, in words.
    """

    number: int
    what: str
    state: str
    steps: int
    said: str


NOTHING = MotionReport(0, "", "none", 0, "")


@dataclass(eq=False)
class _Running:
    number: int
    what: str
    key: str
    motion: Motion
    steps: int = 0
    stale_since: float | None = None


class ControlLoop:
    """A fixed-rate loop: in the thread that calls `run`, or in one of its own while it is entered.

    Args:
        kernel: connected.
        watch: what the world says after a step; None where nobody knows.
        on_step: told every observation, action and result, and whether a person did it, in the loop's thread:
            for recording.
        on_end: told what became of a motion, in the loop's thread.
    """

    def __init__(
        self,
        kernel: SafetyKernel,
        watch: Callable[[], StepResult] | None = None,
        on_step: Callable[[Observation, np.ndarray, StepResult, bool], None] | None = None,
        on_end: Callable[[MotionReport], None] | None = None,
    ) -> None:
        self.kernel = kernel
        self._watch = watch or (lambda: StepResult(0.0, False))
        self._on_step, self._on_end = on_step, on_end
        self.records_images = on_step is not None
        self.period = 1.0 / kernel.spec.action.control_hz
        self._cadence = Cadence(self.period)
        self._lock = threading.Lock()
        self._wishes: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._running: _Running | None = None
        self._report = NOTHING
        self._ended: deque[MotionReport] = deque()
        self._driven: PolicyMotion | None = None
        self._last: np.ndarray | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ControlLoop:
        self._thread = threading.Thread(target=self.run, name="control", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed.set()
        assert self._thread is not None
        self._thread.join()

    def start(self, key: str, what: str, motion: Motion) -> int:
        """Begin a motion in place of the one before; its number. `key` is that of its lease.

        Raises:
            RefusedError: that is not the lease that counts; what runs goes on.
        """
        try:
            self.kernel.require_lease(key)
        except RefusedError:
            motion.close()
            raise
        with self._lock:
            self._end("replaced")
            self._running = _Running(self._report.number + 1, what, key, motion)
            self._report = MotionReport(self._running.number, what, motion.state, 0, "")
            return self._running.number

    def cancel(self, said: str, number: int | None = None) -> None:
        """End the motion, or the one with this number alone; the robot brakes."""
        with self._lock:
            if self._running is not None and number in (None, self._running.number):
                self._end("left", said)

    def moves_under(self, key: str) -> bool:
        """Whether what runs moves under this lease."""
        with self._lock:
            return self._running is not None and secrets.compare_digest(self._running.key, key)

    @property
    def last(self) -> np.ndarray | None:
        """What was sent last, [action_dim]."""
        return self._last

    def report(self) -> MotionReport:
        """Where the last motion stands."""
        return self._report

    def cadence(self) -> CadenceReport:
        """How punctual the loop was."""
        return self._cadence.report()

    def counts(self) -> dict[str, int]:
        """How often the policy of the last task kept the robot waiting; see `PolicyMotion`."""
        motion = self._driven
        if motion is None:
            return {"underruns": 0, "late_answers": 0, "dropped_answers": 0}
        return {
            "underruns": motion.underruns,
            "late_answers": motion.late,
            "dropped_answers": motion.dropped,
        }

    def restart_cadence(self) -> None:
        """Count from now."""
        self._cadence = Cadence(self.period)

    def ask(self, do: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Have something done in the loop's thread, between two control steps; its result.

        Raises:
            RobotError: the loop has too much to do, or does not come to it in time.
            Whatever `do` raises.
        """
        future: Future[Any] = Future()
        with self._lock:
            if len(self._wishes) >= WISHES or self._closed.is_set():
                raise RobotError("the control loop has too much to do", next_step="ask less often")
            self._wishes.append((do, future))
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()  # what nobody waits for is not done later
            raise RobotError("the control loop does not come to it", got=f"{seconds:g} s") from error

    def run(self, over: threading.Event | None = None) -> None:
        """Control steps, one after the other, until `over`."""
        over = over or self._closed
        due = time.monotonic() + self.period
        while not over.is_set():
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
                now = time.monotonic()
            behind = int((now - due) / self.period + 0.5)  # a rhythm that was missed begins anew
            self._cadence.began(due, now, left_out=behind)
            self._step()
            self._cadence.ended(time.monotonic())
            due = due + self.period if not behind else now + self.period
        self._closed.set()
        with self._lock:
            self._end("left", "the loop ends")
        self._tell_ends()

    def _step(self) -> None:
        self._tell_ends()
        try:
            with self._lock:
                running = self._running
            if running is not None:
                self._move(running)
        except RobotError as error:
            self._end_with("failed", str(error))
        except Exception as error:
            log.exception("a motion failed")
            self._end_with("failed", f"{type(error).__name__}: {error}")
        self.kernel.tick()
        self._grant()

    def _move(self, running: _Running) -> None:
        motion = running.motion
        seen = self.kernel.observe(images=motion.looks or self.records_images)
        action = motion.next(seen, self._last)
        if action is None:
            self.kernel.rest(running.key)
        else:
            try:
                sent = self.kernel.command(running.key, action, seen.time)
            except RefusedError as error:
                self._refused(running, error)
                return
            running.stale_since = None
            result = self._watch()
            running.steps += 1
            self._last = sent
            self._driven = motion if isinstance(motion, PolicyMotion) else self._driven
            motion.did(sent, result)
            if self._on_step is not None:
                self._on_step(seen, sent, result, isinstance(motion, ByHand) and motion.by_hand)
        with self._lock:
            if running is self._running:
                self._tell(motion.state, motion.said)
                if motion.state in ("succeeded", "ended", "failed"):
                    self._end(motion.state, motion.said)

    def _refused(self, running: _Running, error: RefusedError) -> None:
        """A command was not carried out: for a while of old observations the motion waits, else it ends."""
        if error.reason == "rate":
            return
        if error.reason in ("stale", "future", "reordered"):
            now = time.monotonic()
            running.stale_since = now if running.stale_since is None else running.stale_since
            self.kernel.rest(running.key)
            if now - running.stale_since < MOSTLY_STALE:
                return
        states = {"lease": "left", "owned": "left", "stopped": "stopped"}
        self._end_with(states.get(error.reason, "failed"), str(error))

    def _end_with(self, state: str, said: str) -> None:
        with self._lock:
            self._end(state, said)

    def _end(self, state: str, said: str = "") -> None:
        """With the lock: what runs has ended."""
        running, self._running = self._running, None
        if running is None:
            return
        self._report = MotionReport(running.number, running.what, state, running.steps, said)
        running.motion.close()
        with suppress(VlaError):
            self.kernel.rest(running.key)
        self._ended.append(self._report)

    def _tell_ends(self) -> None:
        while self._ended and self._on_end is not None:
            self._on_end(self._ended.popleft())

    def _tell(self, state: str, said: str) -> None:
        running = self._running
        assert running is not None
        self._report = MotionReport(running.number, running.what, state, running.steps, said)

    def _grant(self) -> None:
        """Do one thing that was asked for."""
        with self._lock:
            if not self._wishes:
                return
            do, future = self._wishes.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(do())
        except BaseException as error:
            future.set_exception(error)
