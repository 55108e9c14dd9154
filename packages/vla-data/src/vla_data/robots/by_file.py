"""Robots that a file describes: `ros2:FILE`, `lerobot:FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vla_data.errors import ConfigError
from vla_data.registry import lookup
from vla_data.robots.driver import Driver
from vla_data.robots.teleoperation import Leader, LeaderArm
from vla_data.types import RobotSpec


def driver_by_file(name: str) -> Driver:
    """The driver of "KIND:FILE", not connected yet.

    Raises:
        UnknownNameError: there is no such kind; the file has a key that is none.
        ConfigError: of the file.
        MissingDependencyError: what the file names is not installed.
    """
    kind, _, file = name.partition(":")
    make = lookup("kind of robot", BY_FILE, kind)
    if not file:
        raise ConfigError(
            "no file describes the robot",
            where="robot",
            expected=f"{kind}:FILE",
            got=name,
            next_step="docs/robots.md shows such a file",
        )
    return make(Path(file))


def leading_arm(robot: RobotSpec, name: str) -> Leader:
    """An arm of "KIND:FILE", connected, that a person moves and `robot` follows.

    Raises:
        As `driver_by_file`.
        RobotError: it cannot be reached.
        ConfigError: its joints are not the robot's.
    """
    leader = driver_by_file(name)
    arm = LeaderArm(robot, leader)
    leader.connect()
    return arm


def data_set_name(robot: str) -> str:
    """What episodes of a robot are called: its name, or the last part of its file's."""
    return "".join(c if c.isalnum() else "_" for c in robot.rpartition("/")[2])


def _ros2(path: Path) -> Driver:
    from vla_data.robots.ros2_driver import ros2_driver

    return ros2_driver(path)


def _lerobot(path: Path) -> Driver:
    from vla_data.robots.lerobot_driver import lerobot_driver

    return lerobot_driver(path)


BY_FILE: dict[str, Callable[[Path], Driver]] = {"ros2": _ros2, "lerobot": _lerobot}
