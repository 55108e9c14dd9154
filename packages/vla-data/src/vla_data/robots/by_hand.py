"""Episodes that a person does, or a policy with a person ready to take over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.robots.robot_link import RobotLink
from vla_data.robots.scene import StoppedByPersonError
from vla_data.robots.teleoperation import Leader
from vla_data.types import Observation

Word = Literal["success", "discard", "stop"]


@runtime_checkable
class Person(Protocol):
    """Who drives: `ready` before an episode, then asked again and again for a word, if there is one."""

    def ready(self, instruction: str) -> bool: ...
    def word(self) -> Word | None: ...


@dataclass(frozen=True)
class Recorded:
    """What came of it: episodes kept and thrown away, steps of those kept."""

    kept: int
    discarded: int
    steps: int


def record_by_hand(
    link: RobotLink,
    leader: Leader,
    person: Person,
    tasks: Sequence[str],
    episodes: int,
    *,
    policy: bool,
    on_progress: OnProgress = no_progress,
) -> Recorded:
    """Episodes until so many of each task were kept; tasks take turns.

    Args:
        tasks: of the robot's skills; of a robot without any, what is done, in words.
        policy: a policy drives until the person does something.

    Raises:
        RefusedError, RobotError: the robot was stopped, or does not answer.
        StoppedByPersonError: the person had enough; what was kept is kept.
    """
    wanted = [task for _ in range(episodes) for task in tasks]
    kept = discarded = steps = 0
    while kept < len(wanted):
        task = wanted[kept]
        words = link.skills.get(task, [task])
        on_progress(Progress("episodes", kept, len(wanted), "episodes", message=words[0]))
        if not person.ready(words[0]):
            raise StoppedByPersonError
        success, took = _one(link, leader, person, task if task in link.skills else "", words[0], policy)
        kept, discarded, steps = kept + success, discarded + (not success), steps + took * success
    on_progress(Progress("episodes", kept, len(wanted), "episodes"))
    return Recorded(kept, discarded, steps)


def _one(
    link: RobotLink, leader: Leader, person: Person, skill: str, instruction: str, policy: bool
) -> tuple[bool, int]:
    """An episode: whether it succeeded, and its steps."""
    with link.hold("a person", lambda: True, seize=True) as lease:
        link.ask("operate", key=lease.key, skill=skill, instruction=instruction, policy=policy)
        while True:
            told = link.ask("state")  # comes with the robot's next control step
            motion = told["motion"]
            if motion["state"] not in ("moving", "waiting"):
                return motion["state"] == "succeeded", int(motion["steps"])
            word = person.word()
            if word is not None:
                link.ask("judge", success=word == "success", number=motion["number"])
                if word == "stop":
                    raise StoppedByPersonError
                return word == "success", int(motion["steps"])
            seen = Observation(float(told["time"]), {}, np.asarray(told["state"], np.float32))
            action = leader.action(seen, told["last"])
            if action is not None:
                link.ask("command", key=lease.key, action=action)
