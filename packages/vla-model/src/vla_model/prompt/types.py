"""A prompt and an answer as values.

The numbers themselves (pictures, states, actions) travel beside a prompt: it says which there are and in what
order, and each has a mark in the text where its tokens go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vla_data.camera_control import CameraControl
from vla_data.errors import ConfigError
from vla_data.types import Camera, RobotSpec

Said = Literal["text", "actions", "camera"]
VideoChannel = Literal["rgb", "depth", "velocity"]


@dataclass(frozen=True)
class SubTask:
    """A line of the checklist."""

    text: str
    done: bool = False


@dataclass(frozen=True)
class Video:
    """Frames of a camera that are given, the latest last."""

    camera: str
    frames: int = 1
    channels: tuple[VideoChannel, ...] = ("rgb",)


@dataclass(frozen=True)
class AnswerFormat:
    """What is to be answered.

    Args:
        said: in this order: words, a chunk of actions, where to look.
        steps: of the chunk.
        rate: at which its steps are to be taken, Hz.
    """

    said: tuple[Said, ...] = ("actions",)
    steps: int = 16
    rate: float = 20.0


@dataclass(frozen=True)
class Prompt:
    """All that a model is told.

    Args:
        task: the main task, in words.
        robot: what moves: links, joints and limits, state and action; its `urdf` is not told.
        links: of the robot, from the base on.
        cameras: what sees.
        answer: how to answer.
        environment: where all this is, in words.
        checklist: sub-tasks in order, those that are done ticked.
        state: the robot's state is given.
        past_steps: so many of the latest actions are given.
        videos: what is given of each camera.

    Raises:
        ConfigError: a count is negative, or a robot carries its URDF.
    """

    task: str
    robot: RobotSpec | None = None
    links: tuple[str, ...] = ()
    cameras: tuple[Camera, ...] = ()
    answer: AnswerFormat = field(default_factory=AnswerFormat)
    environment: str = ""
    checklist: tuple[SubTask, ...] = ()
    state: bool = False
    past_steps: int = 0
    videos: tuple[Video, ...] = ()

    def __post_init__(self) -> None:
        counts = [self.past_steps, self.answer.steps, *(v.frames for v in self.videos)]
        if min(counts) < 0 or (self.robot is not None and self.robot.urdf is not None):
            raise ConfigError(
                "a prompt cannot be made of this",
                where="Prompt",
                expected="counts of at least 0, and a robot without its URDF (`replace(robot, urdf=None)`)",
                got=f"{counts}, {'a URDF' if self.robot and self.robot.urdf else 'no URDF'}",
            )


@dataclass(frozen=True)
class Answer:
    """What a model says: words, then where to look, then codes of an action codec; each may be missing."""

    text: str = ""
    camera: CameraControl | None = None
    codes: tuple[int, ...] = ()
