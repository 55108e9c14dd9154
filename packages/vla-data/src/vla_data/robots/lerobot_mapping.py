"""The file that says what the numbers of a LeRobot arm are in radians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vla_data.errors import ConfigError
from vla_data.robots.mapping import gripper_line, joint_robot, read_mapping
from vla_data.types import Joint, RobotSpec

ENDS = 100.0  # a normalised joint lies in −100 … 100


@dataclass(frozen=True)
class LeRobotJoint:
    """A joint.

    Args:
        low, high, velocity: limits, radians.
        unit: of the device's own numbers. "degrees" are times π/180. "normalised" is −100 … 100 over the
            calibrated range: −100 is the angle `range[0]` and 100 is `range[1]`, evenly between.
        range: radians at both ends of the calibrated range, of a normalised joint alone.
        key: of the device's own numbers; None for "NAME.pos".
    """

    name: str
    low: float
    high: float
    velocity: float
    unit: Literal["degrees", "radians", "normalised"] = "degrees"
    range: tuple[float, float] | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        ends = self.range
        if (self.unit == "normalised") != (ends is not None) or (ends is not None and not ends[0] < ends[1]):
            raise ConfigError(
                "a joint's own numbers have no meaning",
                where=f"joints: {self.name}",
                expected="range = [radians at -100, radians at 100] where unit is normalised, else none",
                got=f"unit {self.unit}, range {ends}",
            )

    def line(self) -> tuple[float, float]:
        """(scale, offset) of the device's own number → radians."""
        if self.range is not None:
            return (self.range[1] - self.range[0]) / (2 * ENDS), (self.range[1] + self.range[0]) / 2
        return (math.pi / 180 if self.unit == "degrees" else 1.0), 0.0


@dataclass(frozen=True)
class LeRobotGripper:
    """A gripper: what its own number is when it is open and closed."""

    open: float = 100.0
    closed: float = 0.0
    key: str = "gripper.pos"


@dataclass(frozen=True)
class LeRobotMapping:
    """An arm by its Python interface.

    Args:
        rate: commands in a second.
        device: `class = "module:Class"` and its arguments; an argument that is a table with a `class` is an
            object too.
    """

    name: str
    rate: float
    device: Mapping[str, Any]
    joints: tuple[LeRobotJoint, ...]
    gripper: LeRobotGripper | None = None

    def keys(self) -> list[str]:
        """Of the device's own numbers, in the order of the robot's state and action."""
        own = [j.key or f"{j.name}.pos" for j in self.joints]
        return own if self.gripper is None else [*own, self.gripper.key]

    def lines(self) -> list[tuple[float, float]]:
        """(scale, offset) of each of them → radians, or −1 open … 1 closed."""
        own = [j.line() for j in self.joints]
        return own if self.gripper is None else [*own, gripper_line(self.gripper.open, self.gripper.closed)]


def read_lerobot(path: Path) -> tuple[LeRobotMapping, RobotSpec]:
    """A file, and the robot that it describes.

    Raises:
        ConfigError, UnknownNameError: of the file.
    """
    mapping = read_mapping(LeRobotMapping, path)
    try:
        mapping.lines()
        joints = [Joint(j.name, j.low, j.high, j.velocity) for j in mapping.joints]
        return mapping, joint_robot(mapping.name, joints, mapping.rate, gripper=mapping.gripper is not None)
    except ConfigError as error:
        error.where = f"{error.where} in {path}"
        raise
