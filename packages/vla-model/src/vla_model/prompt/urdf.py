"""Joints and links of a robot from its URDF (https://wiki.ros.org/urdf/XML)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from vla_data.errors import DataError
from vla_data.types import Joint

MOVES = ("revolute", "continuous", "prismatic")


@dataclass(frozen=True)
class Body:
    """What a URDF says of a robot.

    Args:
        name: of the robot.
        links: from the base on, each after the one it hangs from.
        joints: that move, in the same order; limits in rad or m, infinite where there are none.
    """

    name: str
    links: tuple[str, ...]
    joints: tuple[Joint, ...]


def read_urdf(path: Path) -> Body:
    """Read a URDF file.

    Raises:
        DataError: it cannot be read, joints hang in a circle, or a limit is no number.
    """
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it declares a document type")  # entities could be nested without end
        root = ElementTree.fromstring(text)
        return _body(root)
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        raise DataError(
            "a URDF cannot be read", where=str(path), expected="a robot of links and joints", got=str(error)
        ) from error


def _body(root: ElementTree.Element) -> Body:
    if root.tag != "robot":
        raise ValueError(f"its root is {root.tag}")
    links = [link.attrib["name"] for link in root.findall("link")]
    hanging: dict[str, list[ElementTree.Element]] = {}
    for joint in root.findall("joint"):
        hanging.setdefault(_end(joint, "parent"), []).append(joint)
    children = {_end(j, "child") for js in hanging.values() for j in js}
    order, joints = [], []
    waiting = [name for name in links if name not in children]
    while waiting:
        name = waiting.pop(0)
        order.append(name)
        below = hanging.get(name, [])
        joints += [_joint(j) for j in below if j.attrib.get("type") in MOVES]
        waiting = [_end(j, "child") for j in below] + waiting
        if len(order) > len(links):
            raise ValueError("a link hangs from two joints, or from one of its own")
    if len(order) != len(links):
        raise ValueError("joints hang in a circle, or from links that are not there")
    return Body(root.attrib.get("name", "robot"), tuple(order), tuple(joints))


def _end(joint: ElementTree.Element, which: str) -> str:
    end = joint.find(which)
    if end is None:
        raise ValueError(f"joint {joint.attrib.get('name')} has no {which}")
    return end.attrib["link"]


def _joint(joint: ElementTree.Element) -> Joint:
    limit = joint.find("limit")
    given = dict(limit.attrib) if limit is not None else {}
    free = joint.attrib["type"] == "continuous"
    low, high = (
        (-math.inf, math.inf) if free else (float(given.get("lower", 0)), float(given.get("upper", 0)))
    )
    unit = "m" if joint.attrib["type"] == "prismatic" else "rad"
    return Joint(joint.attrib["name"], low, high, float(given.get("velocity", math.inf)), unit)
