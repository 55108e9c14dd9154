"""ROS 2 for tests: a domain of their own, a robot in another process, a file that describes it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MAPPING = """
name = "two-joints"
rate = 50
silence = 1.2

[state]
topic = "{topics}/joint_states"

[command]
topic = "{topics}/arm"

[[joints]]
name = "shoulder"
low = -1.0
high = 2.0
velocity = 1.5

[[joints]]
name = "elbow"
low = -2.5
high = 0.5
velocity = 2.0

[gripper]
joint = "gripper_joint"
open = 0.04
closed = 0.0
topic = "{topics}/gripper"

[[cameras]]
name = "front"
topic = "{topics}/image"
height = 6
width = 8

[services]
hold = "{topics}/hold"
"""


@contextmanager
def own_domain(logs: Path) -> Iterator[None]:
    """Nobody else's nodes are seen, and none of this machine's by others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(1 + (os.getpid() + random.SystemRandom().randrange(100)) % 100))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_LOG_DIR", str(logs))
        yield


@contextmanager
def robot_node(topics: str) -> Iterator[subprocess.Popen[str]]:
    """`tests/data/ros2_robot.py` under these topics."""
    program = Path(__file__).with_name("ros2_robot.py")
    node = subprocess.Popen(
        [sys.executable, str(program), topics], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
        yield node
    finally:
        node.kill()
        node.wait()


def mapping(folder: Path, topics: str, change: tuple[str, str] = ("", "")) -> Path:
    """The robot's file, with one text in place of another."""
    path = folder / "robot.toml"
    path.write_text(MAPPING.format(topics=topics).replace(*change))
    return path
