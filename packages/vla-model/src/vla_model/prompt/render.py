"""Prompts and answers as text with marks in it.

    <|begin|><|system|>Robot: sawyer
    Actions, 80 Hz: x, position, delta, world, 0.01, m, -1, 1; …
    Camera: corner4, 64, 64, colour
    Answer: actions, 16, 80<|end|><|user|>Task: open the drawer
    - [x] move above the drawer handle
    - [ ] pull the drawer open
    Given: video, corner4, 1, rgb
    <|video|><|end|><|assistant|>

What is the same in a whole episode comes first, so that a model reads it once.
"""

from __future__ import annotations

from collections.abc import Iterator

from vla_data.types import Camera, RobotSpec
from vla_model.prompt.marks import fields, items, line
from vla_model.prompt.types import Answer, Prompt

BEGIN, SYSTEM, USER, ASSISTANT, END = "<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
VIDEO, SERIES, CAMERA, ACTION = "<|video|>", "<|series|>", "<|camera|>", "<|action|>"
UNKNOWN = "unknown"


class Mark(str):
    """A special token, told apart from text that looks like it."""

    __slots__ = ()


class Code(int):
    """A code of an action codec."""

    __slots__ = ()


Piece = str | Mark | Code


def prompt_pieces(prompt: Prompt) -> list[Piece]:
    """A prompt up to where the model begins to speak."""
    given = [Mark(SERIES)] * (prompt.state + (prompt.past_steps > 0)) + [Mark(VIDEO)] * len(prompt.videos)
    return [
        Mark(BEGIN),
        Mark(SYSTEM),
        "\n".join(_system(prompt)),
        Mark(END),
        Mark(USER),
        "\n".join(_user(prompt)),
        *given,
        Mark(END),
        Mark(ASSISTANT),
    ]


def answer_pieces(answer: Answer) -> list[Piece]:
    """An answer and its end."""
    pieces: list[Piece] = [line(answer.text)] if answer.text else []
    if answer.camera is not None:
        c = answer.camera
        pieces += [Mark(CAMERA), fields([c.look, c.camera, c.amount])]
    if answer.codes:
        pieces += [Mark(ACTION), *map(Code, answer.codes)]
    return [*pieces, Mark(END)]


def as_text(pieces: list[Piece]) -> str:
    """Pieces as people read them; a code shows as <|code 7|>."""
    return "".join(f"<|code {int(p)}|>" if isinstance(p, Code) else p for p in pieces)


def _system(prompt: Prompt) -> Iterator[str]:
    if prompt.robot is not None:
        yield from _robot(prompt.robot)
    if prompt.links:
        yield "Links: " + fields(prompt.links)
    for camera in prompt.cameras:
        yield "Camera: " + _camera(camera)
    answer = prompt.answer
    yield "Answer: " + fields([" then ".join(answer.said), answer.steps, answer.rate])


def _robot(robot: RobotSpec) -> Iterator[str]:
    action = robot.action
    yield "Robot: " + line(robot.name)
    for joint in robot.joints:
        yield "Joint: " + fields([joint.name, joint.low, joint.high, joint.velocity, joint.unit])
    yield "State: " + items(fields([s.name, s.unit]) for s in robot.state)
    closes = "none" if action.gripper_closes is None else action.gripper_closes
    yield "Control: " + fields([action.control_hz, action.rotation, closes])
    yield "Actions: " + items(
        fields([d.name, d.quantity, d.mode, d.frame, d.scale, d.unit, d.low, d.high]) for d in action.dims
    )


def _camera(camera: Camera) -> str:
    """Size and kind, then what is known of rate, intrinsics (fx, fy, cx, cy or all nine) and pose."""
    parts = [fields([camera.name, camera.width, camera.height, camera.kind])]
    if camera.frame_rate is not None:
        parts.append(fields(["rate", camera.frame_rate]))
    for name in ("intrinsics", "pose"):
        matrix = getattr(camera, name)
        if matrix is not None:
            parts.append(fields([name, len(matrix), *(v for row in matrix for v in row)]))
    return items(parts)


def _user(prompt: Prompt) -> Iterator[str]:
    if prompt.environment:
        yield "Environment: " + line(prompt.environment)
    yield "Task: " + line(prompt.task)
    for task in prompt.checklist:
        yield f"- [{'x' if task.done else ' '}] {line(task.text)}"
    given = [fields(["state"])] * prompt.state
    given += [fields(["actions", prompt.past_steps])] * (prompt.past_steps > 0)
    given += [fields(["video", v.camera, v.frames, *v.channels]) for v in prompt.videos]
    yield "Given: " + items(given)
    yield ""
