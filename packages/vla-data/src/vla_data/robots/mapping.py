"""What files that describe a robot have in common: joints, limits, a gripper, and how they are read.

A robot that is described by a file is told where its joints are to be; its gripper is one more number, −1
open to 1 closed. Its state is where joints and gripper are, in the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from vla_data.config import from_dict, read_config_file
from vla_data.errors import ConfigError
from vla_data.types import ActionDim, ActionSpec, Joint, RobotSpec, StateDim

T = TypeVar("T")
GRIPPER = "gripper"
FASTEST = 1000.0  # Hz
HELP = "docs/robots.md shows such a file"


def read_mapping(kind: type[T], path: Path) -> T:
    """A description from a TOML or JSON file.

    Raises:
        ConfigError: it cannot be read, a key is unknown or missing, or a value is none that there could be;
            the message names key and file.
    """
    try:
        return from_dict(kind, read_config_file(path))
    except ConfigError as error:
        if str(path) not in (error.where or ""):
            error.where = f"{error.where} in {path}" if error.where else str(path)
        error.next_step = error.next_step or HELP
        raise


def joint_robot(name: str, joints: Sequence[Joint], control_hz: float, *, gripper: bool) -> RobotSpec:
    """A robot whose action is where its joints, and its gripper, are to be.

    Raises:
        ConfigError: no joint, two of one name, limits that leave no room, or no control rate.
    """
    _require(joints, control_hz)
    dims = [ActionDim(j.name, "joint", "absolute", "joint", j.unit, 1.0, j.low, j.high) for j in joints]
    state = [StateDim(j.name, j.unit) for j in joints]
    if gripper:
        dims.append(ActionDim(GRIPPER, "gripper", "absolute", "none"))
        state.append(StateDim(GRIPPER))
    action = ActionSpec(tuple(dims), control_hz, gripper_closes=1 if gripper else None)
    return RobotSpec(name, action, tuple(state), tuple(joints))


def gripper_line(opened: float, closed: float) -> tuple[float, float]:
    """(scale, offset) of a robot's own number → −1 open … 1 closed.

    Raises:
        ConfigError: open and closed are the same.
    """
    if not (math.isfinite(opened) and math.isfinite(closed)) or opened == closed:
        raise ConfigError(
            "a gripper is the same open and closed",
            where="gripper",
            expected="two numbers: open, closed",
            got=f"{opened:g}, {closed:g}",
        )
    scale = 2.0 / (closed - opened)
    return scale, -1.0 - opened * scale


def urdf_limits(path: Path) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Joint → low, high, velocity as a URDF says them; None where it does not.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        root = ElementTree.parse(path).getroot()
        found = {}
        for joint in root.iter("joint"):
            limit = joint.find("limit")
            told = {} if limit is None else limit.attrib
            low, high, speed = (told.get(key) for key in ("lower", "upper", "velocity"))
            numbers = tuple(None if text is None else float(text) for text in (low, high, speed))
            found[str(joint.get("name"))] = (numbers[0], numbers[1], numbers[2])
        return found
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise ConfigError(
            "a robot's description cannot be read", where=f"urdf: {path}", expected="URDF", got=str(error)
        ) from error


def _require(joints: Sequence[Joint], control_hz: float) -> None:
    names = [j.name for j in joints]
    if not names or len(set(names)) < len(names) or GRIPPER in names:
        raise ConfigError(
            "a robot's joints are not told apart",
            where="joints",
            expected=f"one at least, each named once, none of them {GRIPPER!r}",
            got=", ".join(names) or "none",
        )
    for joint in joints:
        numbers = (joint.low, joint.high, joint.velocity)
        if not all(map(math.isfinite, numbers)) or joint.low >= joint.high or joint.velocity <= 0:
            raise ConfigError(
                "a joint cannot be limited like this",
                where=f"joints: {joint.name}",
                expected="finite numbers, low below high, velocity above 0",
                got=f"low {joint.low:g}, high {joint.high:g}, velocity {joint.velocity:g}",
            )
    if not 0 < control_hz <= FASTEST:
        raise ConfigError(
            "a robot cannot be commanded so often",
            where="rate",
            expected=f"above 0, at most {FASTEST:g} Hz",
            got=f"{control_hz:g}",
        )
