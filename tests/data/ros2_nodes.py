"""ROS 2 for tests: a domain of their own, a robot in another process, a file that describes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from vla_data.robots.ros2_node import RosNode

# Looked for, not imported: every worker collects this, and only those that run it need ROS's libraries.
with_ros = pytest.mark.skipif(find_spec("rclpy") is None, reason="ROS 2's Python packages are not installed")

MAPPING = """
name = "two-joints"
rate = 50
silence = 1.6

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
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        patch.setenv("ROS_DOMAIN_ID", str(1 + (8 * os.getppid() + worker) % 100))
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


class Client:
    """Another node: the last message of each topic, and services called."""

    def __init__(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import Image, JointState
        from std_msgs.msg import Empty, String
        from std_srvs.srv import Trigger

        self.ros, self.heard, self._trigger = RosNode("client"), dict[str, Any](), Trigger
        for kind, topic in (
            (JointState, "/vla/joint_states"),
            (Image, "/vla/images/front"),
            (DiagnosticArray, "/diagnostics"),
            (JointState, "/mine/joint_states"),
        ):
            self.ros.node.create_subscription(kind, topic, self._hear(topic), 1)
        self.beats = self.ros.node.create_publisher(Empty, "/vla/heartbeat", 1)
        self.tasks = self.ros.node.create_publisher(String, "/vla/task", 1)
        self.services = {
            name: self.ros.node.create_client(Trigger, f"/vla/{name}")
            for name in ("run", "cancel", "stop", "reset_stop")
        }
        self.ros.start()

    def _hear(self, topic: str) -> Callable[[Any], None]:
        return lambda message: self.heard.__setitem__(topic, message)

    def call(self, name: str) -> tuple[bool, str]:
        assert self.services[name].wait_for_service(5.0)
        future = self.services[name].call_async(self._trigger.Request())
        waiting(future.done)
        return future.result().success, future.result().message

    def told(self, key: str) -> str:
        """What diagnostics say of something."""
        message = self.heard.get("/diagnostics")
        return "" if message is None else {v.key: v.value for v in message.status[0].values}.get(key, "")

    def choose(self, task: str) -> None:
        from std_msgs.msg import String

        self.tasks.publish(String(data=task))

    def beat(self) -> None:
        from std_msgs.msg import Empty

        self.beats.publish(Empty())


def waiting(until: Callable[[], Any], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.01)
