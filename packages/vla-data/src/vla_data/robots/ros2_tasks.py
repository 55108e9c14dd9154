"""What a robot is told to do over ROS 2: one task at a time, while whoever told it is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, runtime_checkable

from vla_data.errors import ConfigError, VlaError
from vla_data.registry import lookup
from vla_data.robots.kernel import RefusedError

OWNER = "ros2"
POLL = 0.05  # seconds


@runtime_checkable
class TaskLink(Protocol):
    """What is asked of a robot."""

    skills: Mapping[str, list[str]]

    def ask(self, do: str, **told: Any) -> dict[str, Any]: ...
    def hold(
        self, owner: str, present: Callable[[], bool], *, seize: bool = False
    ) -> AbstractContextManager[Any]: ...


class RosTasks:
    """A task that is chosen, and the one that is carried out.

    Args:
        trusted: seconds for which a heartbeat says that somebody is there.
    """

    def __init__(self, link: TaskLink, trusted: float) -> None:
        self._link, self._trusted = link, trusted
        self._chosen, self._said = "", ""
        self._beat = -1e9
        self._number = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """Somebody is there now."""
        self._beat = time.monotonic()

    def choose(self, task: str) -> None:
        """What `run` is to do: a skill's name, or one of its wordings."""
        self._chosen = task

    def present(self) -> bool:
        """Whether somebody is there."""
        return time.monotonic() - self._beat <= self._trusted and not self._over.is_set()

    def told(self) -> dict[str, str]:
        """What there is to say, in words."""
        heard = "there" if self.present() else "nobody"
        return {"task": self._chosen, "commander": heard, "said": self._said}

    def run(self) -> str:
        """Begin the task that was chosen.

        Raises:
            RefusedError: nobody is there, another is under way, or the robot is stopped or faulty.
            ConfigError, UnknownNameError: it can do no such thing.
        """
        skill, words = self._skill()
        if not self.present():
            raise RefusedError(
                "nobody is there",
                "absent",
                expected=f"a heartbeat every {self._trusted:g} s at least, while the robot is to move",
                next_step="ros2 topic pub --rate 20 /vla/heartbeat std_msgs/msg/Empty",
            )
        if self._thread is not None and self._thread.is_alive():
            raise RefusedError("another task is under way", "busy", next_step="cancel it first")
        kernel = self._link.ask("motion")["kernel"]
        if kernel["phase"] in ("stopped", "fault"):
            raise RefusedError(
                "the robot does not move", str(kernel["phase"]), got=kernel["stopped_for"] or kernel["phase"]
            )
        self._said = "beginning"
        self._thread = threading.Thread(
            target=self._carry_out, args=(skill, words), daemon=True, name="ros task"
        )
        self._thread.start()
        return f"{skill}: begun; /diagnostics says what becomes of it"

    def cancel(self) -> str:
        """End the task; the robot brakes."""
        number, running = self._number, self._thread is not None and self._thread.is_alive()
        if running and number:
            self._link.ask("cancel", said="cancelled over ROS 2", number=number)
        return "cancelled" if running else "nothing was under way"

    def close(self) -> None:
        """Nobody is there any more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def _skill(self) -> tuple[str, str]:
        """The skill that is meant, and its words."""
        skills = self._link.skills
        if not skills:
            raise ConfigError("nothing carries out tasks here", expected="a robot with a policy: --run DIR")
        for name, said in skills.items():
            if self._chosen in said:
                return name, self._chosen
        return self._chosen, lookup("task", skills, self._chosen)[0]

    def _carry_out(self, skill: str, words: str) -> None:
        self._number = 0
        try:
            with self._link.hold(OWNER, self.present) as lease:
                told = {"skill": skill, "instruction": words, "arrange": True}
                self._number = number = int(self._link.ask("task", key=lease.key, **told)["number"])
                self._said = self._watched(number, lease)
        except VlaError as error:
            self._said = str(error)
        with suppress(VlaError):  # a robot that is gone has said so above
            report = self._link.ask("motion")["motion"]
            if report["number"] == self._number and self._said == "":
                self._said = f"{report['state']}: {report['said']}" if report["said"] else report["state"]

    def _watched(self, number: int, lease: Any) -> str:
        """Until it ended or nobody is there; why it ended early, else nothing."""
        while not lease.lost:
            report = self._link.ask("motion")["motion"]
            if report["number"] != number or report["state"] not in ("moving", "waiting"):
                return ""
            if not self.present():
                return "nobody is there any more"
            time.sleep(POLL)
        return str(lease.lost)
