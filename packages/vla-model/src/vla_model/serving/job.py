"""A job: what a robot was told to do, sub-task by sub-task, and how far it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from vla_data.robots.scene import Verdict

JobState = Literal["running", "paused", "succeeded", "failed", "cancelled", "stopped"]
ItemState = Literal["to do", "doing", "ended", "done", "failed"]
COMES_TO: dict[Verdict, ItemState] = {"success": "done", "again": "to do", "failure": "failed"}
OVER = ("succeeded", "failed", "cancelled", "stopped")


@dataclass(eq=False)
class Item:
    """A sub-task: what it says, and how far it is; "ended" waits for a verdict."""

    skill: str
    text: str
    state: ItemState = "to do"
    tries: int = 0


@dataclass(eq=False)
class Job:
    """Something that a robot was told.

    Args:
        owner: who told it.
        items: sub-tasks in order; empty for a motion.
        motion: what the robot is asked for, where it is no task.
        number: of the robot's motion that it came to last.
    """

    id: str
    owner: str
    title: str
    items: list[Item]
    motion: dict[str, object] | None = None
    unattended: bool = False
    state: JobState = "paused"
    said: str = ""
    steps: int = 0
    attended: int = 0
    number: int = 0
    options: dict[str, object] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def unjudged(self) -> Item | None:
        """The sub-task that waits for a verdict."""
        return None if self.over else next((i for i in self.items if i.state == "ended"), None)

    def checklist(self) -> str:
        """As markdown."""
        marks = {"to do": " ", "doing": " ", "ended": "?", "done": "x", "failed": "!"}
        return "\n".join(f"- [{marks[i.state]}] {i.text}" for i in self.items)


def new_job(owner: str, title: str, **parts: object) -> Job:
    """A job with an id of its own."""
    return Job(secrets.token_hex(4), owner, title, **{"items": [], **parts})  # type: ignore[arg-type]
