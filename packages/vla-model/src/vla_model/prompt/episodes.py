"""Prompts of episodes: what a model would have been told at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vla_data.errors import UnknownNameError
from vla_data.types import Camera, CameraInput, Episode, InputSpec, RobotSpec
from vla_model.prompt.marks import unline
from vla_model.prompt.parse import BOX
from vla_model.prompt.types import AnswerFormat, Prompt, Said, SubTask, Video, VideoChannel

SWITCHES = ("robot", "cameras", "checklist", "state")
DIGITS = 3  # of intrinsics (pixels) and poses (metres), as they are told


@dataclass(frozen=True)
class PromptParts:
    """Which parts of a prompt are told; each can be switched off.

    Args:
        robot: state, actions, joints.
        cameras: the sensors.
        poses: intrinsics and poses of cameras as well.
        checklist: sub-tasks.
        state: the robot's state, as a series.
        past_steps: latest actions, as a series.
        depth, velocity: beside colours.
    """

    robot: bool = True
    cameras: bool = True
    poses: bool = False
    checklist: bool = True
    state: bool = True
    past_steps: int = 0
    depth: bool = False
    velocity: bool = False


def prompt_for(
    spec: InputSpec, instruction: str, parts: PromptParts, cameras: tuple[Camera, ...] = ()
) -> Prompt:
    """The prompt of a policy at one instruction.

    Args:
        instruction: the task, and below it a checklist where there is one (`with_checklist`).
        cameras: what is known of those of the policy; those of `spec` as they are where it is missing.
    """
    task, checklist = split_instruction(instruction)
    known = {c.name: c for c in cameras}
    seen = tuple(known.get(c.name, Camera(c.name, c.width, c.height)) for c in spec.cameras)
    places = [replace(seen[0], name=p, intrinsics=None, pose=None) for p in spec.places]
    said: tuple[Said, ...] = ("camera", "actions") if places else ("actions",)
    given: dict[VideoChannel, bool] = {"rgb": True, "depth": parts.depth, "velocity": parts.velocity}
    channels: tuple[VideoChannel, ...] = tuple(name for name, there in given.items() if there)
    shown = max(1, spec.history - parts.velocity)  # a velocity takes the moment before
    return Prompt(
        task=task,
        robot=told_robot(spec.robot) if parts.robot else None,
        cameras=tuple(told_camera(c, parts.poses) for c in (*seen, *places)) if parts.cameras else (),
        answer=AnswerFormat(said, spec.action_horizon, spec.robot.action.control_hz),
        checklist=checklist if parts.checklist else (),
        state=parts.state,
        past_steps=parts.past_steps,
        videos=tuple(Video(c.name, shown, channels) for c in spec.cameras),
    )


def prompt_at(episode: Episode, step: int, parts: PromptParts, horizon: int = 16, frames: int = 1) -> Prompt:
    """The prompt of an episode at a step: sub-tasks that have ended by then are ticked."""
    sizes = {name: images[step].shape for name, images in episode.images.items()}
    inputs = tuple(CameraInput(name, shape[0], shape[1]) for name, shape in sizes.items())
    spec = InputSpec(episode.robot, inputs, horizon, frames)
    cameras = tuple(episode.cameras[name] for name in sizes if name in episode.cameras)
    prompt = prompt_for(spec, episode.instruction, parts, cameras)
    done = tuple(SubTask(s.text, s.stop <= step) for s in episode.substeps)
    return replace(prompt, checklist=done if parts.checklist and done else prompt.checklist)


def told_robot(robot: RobotSpec) -> RobotSpec:
    """Of a robot what a prompt tells."""
    return replace(robot, urdf=None)


def told_camera(camera: Camera, poses: bool) -> Camera:
    """Of a camera what a prompt tells, rounded."""
    if not poses:
        return replace(camera, intrinsics=None, pose=None)
    matrices = {
        name: tuple(tuple(round(v, DIGITS) for v in row) for row in matrix)
        for name in ("intrinsics", "pose")
        if (matrix := getattr(camera, name)) is not None
    }
    return replace(camera, **matrices)  # type: ignore[arg-type]


def with_checklist(task: str, checklist: tuple[SubTask, ...]) -> str:
    """An instruction with its sub-tasks below it, as Markdown."""
    return "\n".join([task, *(f"- [{'x' if t.done else ' '}] {t.text}" for t in checklist)])


def episode_checklist(episode: Episode) -> tuple[SubTask, ...]:
    """The sub-steps of an episode as a list to do, each once, in the order in which it first comes."""
    return tuple(SubTask(text) for text in dict.fromkeys(s.text for s in episode.substeps))


def split_instruction(instruction: str) -> tuple[str, tuple[SubTask, ...]]:
    """A task and its sub-tasks; lines that are no boxes belong to the task."""
    task, checklist = [], []
    for text in instruction.split("\n"):
        box = BOX.fullmatch(text.strip())
        if box is None:
            task.append(text)
        else:
            checklist.append(SubTask(unline(box["text"]), box["done"] == "x"))
    return "\n".join(task).strip(), tuple(checklist)


def parts_without(names: Sequence[str], *, past_steps: int = 0, poses: bool = False) -> PromptParts:
    """All parts but those named.

    Raises:
        UnknownNameError: there is no such part.
    """
    parts = PromptParts(past_steps=past_steps, poses=poses)
    for name in names:
        if name not in SWITCHES:
            raise UnknownNameError("part of a prompt", name, SWITCHES, where="--without")
        parts = replace(parts, **{name: False})
    return parts
