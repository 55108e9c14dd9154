"""Text with marks in it as prompts and answers."""

from __future__ import annotations

import re
from typing import Any, get_args

from vla_data.camera_control import CameraControl, Look
from vla_data.errors import DataError
from vla_data.types import ActionDim, ActionSpec, Camera, Joint, RobotSpec, StateDim
from vla_model.prompt.marks import unfields, unitems, unline
from vla_model.prompt.render import (
    ACTION,
    ASSISTANT,
    BEGIN,
    CAMERA,
    END,
    SERIES,
    SYSTEM,
    USER,
    VIDEO,
    as_text,
    prompt_pieces,
)
from vla_model.prompt.types import Answer, AnswerFormat, Prompt, SubTask, Video

LAYOUT = re.compile(
    re.escape(BEGIN + SYSTEM)
    + "(?P<system>.*?)"
    + re.escape(END + USER)
    + "(?P<user>.*?)\n"
    + f"(?P<marks>(?:{re.escape(SERIES)}|{re.escape(VIDEO)})*)"
    + re.escape(END + ASSISTANT),
    re.DOTALL,
)
SPOKEN = re.compile(
    r"(?P<text>(?:(?!<\|).)*)"
    + rf"(?:{re.escape(CAMERA)}(?P<camera>(?:(?!<\|).)*))?"
    + rf"(?:{re.escape(ACTION)}(?P<codes>(?:<\|code \d+\|>)+))?"
    + f"(?:{re.escape(END)})?",
    re.DOTALL,
)
BOX = re.compile(r"- \[(?P<done>[x ])\] (?P<text>.*)", re.DOTALL)


def parse_prompt(text: str) -> Prompt:
    """The prompt that `render` wrote.

    Raises:
        DataError: it is not one.
    """
    match = LAYOUT.fullmatch(text)
    if match is None:
        raise _wrong("roles and marks in the order of the layout", text[:80])
    try:
        prompt = Prompt(**_system(match["system"].split("\n")), **_user(match["user"].split("\n")))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise _wrong("lines as `prompt_pieces` writes them", str(error) or type(error).__name__) from error
    if as_text(prompt_pieces(prompt)) != text:
        raise _wrong("what is given and its marks to agree, each line in its place", match["marks"])
    return prompt


def parse_answer(text: str) -> Answer:
    """The answer that `answer_pieces` wrote; its end may be missing.

    Raises:
        DataError: it is not one.
    """
    match = SPOKEN.fullmatch(text)
    if match is None:
        raise _wrong("words, then a camera control, then codes", text[:80])
    camera = None
    if match["camera"] is not None:
        try:
            look, name, amount = unfields(match["camera"])
            camera = CameraControl(_one_of(Look, look), name, float(amount))
        except ValueError as error:
            raise _wrong("choose, pan, tilt or zoom; a camera; a number", match["camera"]) from error
    codes = tuple(int(c) for c in re.findall(r"\d+", match["codes"] or ""))
    return Answer(unline(match["text"]), camera, codes)


def _system(lines: list[str]) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    for text in lines:
        key, _, rest = text.partition(": ")
        found.setdefault(key, []).append(rest)
    (answer,) = found["Answer"]
    said, steps, rate = unfields(answer)
    return {
        "robot": _robot(found) if "Robot" in found else None,
        "links": tuple(unfields(found["Links"][0])) if "Links" in found else (),
        "cameras": tuple(_camera(c) for c in found.get("Camera", [])),
        "answer": AnswerFormat(tuple(said.split(" then ")), int(steps), float(rate)),  # type: ignore[arg-type]
    }


def _robot(found: dict[str, list[str]]) -> RobotSpec:
    rate, rotation, closes = unfields(found["Control"][0])
    dims = []
    for item in unitems(found["Actions"][0]):
        name, quantity, mode, frame, scale, unit, low, high = unfields(item)
        dims.append(ActionDim(name, quantity, mode, frame, unit, float(scale), float(low), float(high)))  # type: ignore[arg-type]
    joints = [unfields(j) for j in found.get("Joint", [])]
    return RobotSpec(
        unline(found["Robot"][0]),
        ActionSpec(tuple(dims), float(rate), rotation, None if closes == "none" else int(closes)),  # type: ignore[arg-type]
        tuple(StateDim(*unfields(s)) for s in unitems(found["State"][0])),
        tuple(Joint(n, float(low), float(high), float(v), unit) for n, low, high, v, unit in joints),
    )


def _camera(text: str) -> Camera:
    first, *rest = unitems(text)
    name, width, height, kind = unfields(first)
    known: dict[str, Any] = {}
    for item in rest:
        key, *values = unfields(item)
        numbers = [float(v) for v in values]
        if key == "rate":
            known["frame_rate"] = numbers[0]
        else:
            rows, body = int(numbers[0]), numbers[1:]
            width_ = len(body) // rows
            known[key] = tuple(tuple(body[i : i + width_]) for i in range(0, len(body), width_))
    return Camera(name, int(width), int(height), kind=kind, **known)  # type: ignore[arg-type]


def _user(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"checklist": []}
    for text in lines:
        box = BOX.fullmatch(text)
        key, _, rest = text.partition(": ")
        if box is not None:
            found["checklist"].append(SubTask(unline(box["text"]), box["done"] == "x"))
        elif key in ("Environment", "Task"):
            found[key.lower()] = unline(rest)
        elif text.startswith("Given: "):
            found |= _given(unitems(text.removeprefix("Given: ")))
        else:
            raise ValueError(text)
    found["checklist"] = tuple(found["checklist"])
    return found


def _given(parts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"videos": []}
    for kind, *values in map(unfields, parts):
        if kind == "state":
            found["state"] = True
        elif kind == "actions":
            found["past_steps"] = int(values[0])
        else:
            found["videos"].append(Video(values[0], int(values[1]), tuple(values[2:])))  # type: ignore[arg-type]
    return {**found, "videos": tuple(found["videos"])}


def _one_of(kind: Any, value: str) -> Any:
    if value not in get_args(kind):
        raise ValueError(value)
    return value


def _wrong(expected: str, got: str) -> DataError:
    return DataError("a text is no prompt or answer", where="prompt", expected=expected, got=got)
