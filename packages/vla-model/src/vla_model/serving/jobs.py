"""What a robot was told to do: one job at a time, sub-task by sub-task, for as long as somebody is there.

A job moves the robot only while a request of whoever cares about it is open (it is *attended*), like a foot
on a pedal. An agent that is killed, hangs up or stops waiting leaves a robot that holds within half a second;
the job is then "paused", and goes on when somebody waits for it again. Only a job that an administrator sent
off unattended goes on alone.

Whether a sub-task was done a simulator says; where there is none, whoever gave the job: the job is then
"paused" when the motion of a sub-task has ended, the robot holds, and nothing moves until there is a verdict.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, runtime_checkable

from vla_data.errors import VlaError
from vla_data.robots.kernel import RefusedError
from vla_data.robots.scene import Judge, Verdict
from vla_model.serving.job import COMES_TO, Item, Job, JobState

log = logging.getLogger(__name__)
POLL, AGAIN = 0.05, 0.3  # seconds: a motion is looked at, a lease that somebody else has is asked for again
KEPT = 100  # jobs remembered
TRIES = 2  # of a sub-task that nobody looks at
LOOK = "its motion has ended: look, and tell with job_status whether it is done"


@runtime_checkable
class Link(Protocol):
    """What jobs ask: a `RobotLink`, or what stands in for one."""

    def ask(self, do: str, **told: Any) -> dict[str, Any]: ...
    def hold(
        self, owner: str, present: Callable[[], bool], *, seize: bool = False
    ) -> AbstractContextManager[Any]: ...


class BusyError(VlaError):
    """Another job is under way."""


class NothingToJudgeError(VlaError):
    """No sub-task waits for a verdict."""


class Jobs:
    """The jobs of one robot, each driven by a thread while it is attended.

    Args:
        link: to the robot.
        on_change: told of every change, in any thread.
        judge: who says whether a sub-task was done.
    """

    def __init__(
        self, link: Link, on_change: Callable[[Job], None] = lambda job: None, judge: Judge = "simulator"
    ) -> None:
        self._link, self._on_change = link, on_change
        self.judged_by: Judge = judge
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._driving: Job | None = None

    def all(self) -> list[Job]:
        """The latest last."""
        with self._lock:
            return list(self._jobs.values())

    def find(self, number: str) -> Job:
        """A job by its id.

        Raises:
            VlaError: there is none.
        """
        with self._lock:
            if number not in self._jobs:
                raise VlaError(
                    "there is no such job", got=number[:40], expected=", ".join([*self._jobs][-5:])
                )
            return self._jobs[number]

    @property
    def current(self) -> Job | None:
        """The one that is not over; None without one."""
        with self._lock:
            return next((j for j in reversed(self._jobs.values()) if not j.over), None)

    def add(self, job: Job) -> Job:
        """Take a job on.

        Raises:
            BusyError: another is not over yet.
        """
        with self._lock:
            busy = self.current
            if busy is not None:
                raise BusyError(
                    "another job is under way",
                    got=f"{busy.id}: {busy.title} ({busy.state})",
                    next_step=f"wait for it with job_status, or cancel('{busy.id}')",
                )
            self._jobs[job.id] = job
            while len(self._jobs) > KEPT:
                del self._jobs[next(iter(self._jobs))]
            if job.unattended:
                self._go_on(job)
            return job

    def attend(self, job: Job) -> None:
        """Somebody is there from now on; a paused job goes on."""
        with self._lock:
            job.attended += 1
            self._go_on(job)

    def leave(self, job: Job) -> None:
        """And no longer."""
        with self._lock:
            job.attended -= 1

    def judge(self, job: Job, verdict: Verdict) -> None:
        """Say whether the sub-task whose motion has ended was done ("again": it is tried once more).

        Raises:
            NothingToJudgeError: none waits for it.
        """
        with self._lock:
            item = job.unjudged
            if item is None:
                raise NothingToJudgeError(
                    "no sub-task waits for a verdict",
                    got=f"{job.id} is {job.state}",
                    next_step="leave the verdict out",
                )
            item.state = COMES_TO[verdict]
            if verdict == "failure":
                self._set(job, "failed", f"{item.text}: not done")
            elif all(i.state == "done" for i in job.items):
                self._set(job, "succeeded", "")
            else:
                self._set(job, "paused", "")
            number = job.number
            if self._present(job):
                self._go_on(job)
        with suppress(VlaError):  # for the episode that was kept of it; the job does not depend on it
            self._link.ask("judge", number=number, success=verdict == "success")

    def cancel(self, job: Job, said: str) -> None:
        """End a job; the robot brakes."""
        with self._lock:
            if job.over:
                return
            self._end(job, "cancelled", said)
            number = job.number
        if number:
            self._link.ask("cancel", said=said, number=number)

    def stopped(self, said: str) -> None:
        """The robot was stopped: whatever is under way ends."""
        with self._lock:
            if self.current is not None:
                self._end(self.current, "stopped", said)

    def _go_on(self, job: Job) -> None:
        if job.over or job.unjudged is not None or self._driving is not None:
            return
        self._driving = job
        threading.Thread(target=self._drive, args=(job,), daemon=True, name=f"job {job.id}").start()

    def _present(self, job: Job) -> bool:
        return not job.over and (job.unattended or job.attended > 0)

    def _drive(self, job: Job) -> None:
        """Carry out what is left of a job while somebody is there."""
        try:
            with self._link.hold(job.owner, lambda: self._present(job)) as lease:
                self._set(job, "running", "")
                while not job.over and self._present(job) and not lease.lost:
                    if not self._one(job, lease.key, lambda: bool(lease.lost)):
                        break
        except RefusedError as error:
            self._refused(job, error)
        except VlaError as error:
            self._set(job, "failed", str(error))
        except Exception as error:
            log.exception("a job failed")
            self._set(job, "failed", type(error).__name__)
        finally:
            self._rest(job)

    def _rest(self, job: Job) -> None:
        """The thread ends: the job is over, or waits to be attended again."""
        with self._lock:
            self._driving = None
            if job.state == "running":
                self._set(job, "paused", "nobody waits for it: job_status lets it go on")
            if self._present(job) and job.state == "paused":
                self._go_on(job)
            waits = self.current  # one that was taken on while this one was winding down
            if waits is not None and waits is not job and self._present(waits):
                self._go_on(waits)

    def _refused(self, job: Job, error: RefusedError) -> None:
        if error.reason == "stopped":
            self._set(job, "stopped", error.got or error.message)
        elif error.reason == "fault":
            self._set(job, "failed", str(error))
        else:  # somebody else has the lease for now
            self._set(job, "paused", error.message + (f": {error.got}" if error.got else ""))
            time.sleep(AGAIN)

    def _one(self, job: Job, key: str, lost: Callable[[], bool]) -> bool:
        """Do the next thing; whether there may be another."""
        item = next((i for i in job.items if i.state != "done"), None)
        if job.motion is None and item is None:
            self._set(job, "succeeded", "")
            return False
        if item is not None:
            item.state = "doing"
            first = item.tries == 0
            told = {"skill": item.skill, "instruction": item.text, **job.options}
            number = self._link.ask("task", key=key, **{**told, "arrange": first and told.get("arrange")})
            item.tries += 1
        else:
            assert job.motion is not None
            number = self._link.ask(**{**job.motion, "key": key})  # type: ignore[arg-type]
        job.number = int(number["number"])
        self._on_change(job)
        state, said, steps = self._watched(job, int(number["number"]), lost)
        job.steps += steps
        return self._done(job, item, state, said)

    def _watched(self, job: Job, number: int, lost: Callable[[], bool]) -> tuple[str, str, int]:
        """Until a motion ended: its state, why, and its steps."""
        waits = threading.Event()
        while True:
            told = self._link.ask("motion")
            report = told["motion"]
            if report["number"] != number:
                return "replaced", "another motion took its place", 0
            if report["state"] not in ("moving", "waiting"):
                return str(report["state"]), str(report["said"]), int(report["steps"])
            if report["said"] != job.said:
                job.said = str(report["said"])
                self._on_change(job)
            if job.over or not self._present(job) or lost():
                return "left", "", int(report["steps"])
            waits.wait(POLL)

    def _done(self, job: Job, item: Item | None, state: str, said: str) -> bool:
        if job.over or state in ("left", "replaced"):
            if item is not None and item.state == "doing":
                item.state, item.tries = "to do", item.tries - 1
            return False
        if state == "stopped":
            self._set(job, "stopped", said)
        elif item is not None and self.judged_by == "agent" and state in ("succeeded", "ended"):
            with self._lock:
                if not job.over:
                    item.state = "ended"
                    self._set(job, "paused", f"{item.text}: {LOOK}")
        elif state == "succeeded":
            if item is None:
                self._set(job, "succeeded", said)
            else:
                item.state = "done"
                self._on_change(job)
                return True
        elif item is not None and state == "ended" and item.tries < TRIES:
            return True
        else:
            if item is not None:
                item.state = "failed"
            self._set(job, "failed", f"{item.text}: not done. {said}" if item else said)
        return False

    def _end(self, job: Job, state: JobState, said: str) -> None:
        for item in job.items:
            item.state = "to do" if item.state in ("doing", "ended") else item.state
        self._set(job, state, said)

    def _set(self, job: Job, state: JobState, said: str) -> None:
        with self._lock:
            if job.over:
                return
            job.state, job.said = state, said
        self._on_change(job)
