"""A robot that is reached over ROS 2 topics, as a driver."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from vla_data.robots.driver import RobotError
from vla_data.robots.mapping import gripper_line
from vla_data.robots.ros2_commands import JointCommands
from vla_data.robots.ros2_mapping import Ros2Camera, Ros2Mapping, read_ros2
from vla_data.robots.ros2_node import RosNode
from vla_data.robots.ros2_pictures import picture
from vla_data.types import Camera, Image, Observation, RobotSpec

log = logging.getLogger(__name__)
START_SECONDS, POLL = 10.0, 0.01
AHEAD = 0.05  # seconds that a stamp may lie after its arrival: clocks that are kept together differ a little


class _Told(NamedTuple):
    """Something that was told: when by its stamp and when it came, by the robot's clock."""

    value: Any
    time: float
    arrived: float


class Ros2Driver:
    """Joints, gripper and cameras of a `Ros2Mapping`; a `Driver`.

    An observation is as old as the oldest joint in it. A command is published and nobody answers it: that
    the robot carries it out shows in its joint states alone. To hold is to publish the last command again,
    and nothing where there was none: what the robot does without commands is its own.

    Args:
        robot: of the same file.
        clock: seconds.
    """

    def __init__(
        self, mapping: Ros2Mapping, robot: RobotSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.mapping, self.spec, self._clock = mapping, robot, clock
        self.cameras: tuple[Camera, ...] = mapping.views()
        self._names = [j.name for j in mapping.joints]
        self._scale, self._offset = np.ones(robot.action.dim), np.zeros(robot.action.dim)
        if mapping.gripper is not None:
            self._names.append(mapping.gripper.joint)
            line = gripper_line(mapping.gripper.open, mapping.gripper.closed)
            self._scale[-1], self._offset[-1] = line
        self._lock = threading.Lock()
        self._joints: dict[str, _Told] = {}
        self._others: set[str] = set()
        self._pictures: dict[str, _Told] = {}
        self._drawn: dict[str, tuple[_Told, Image]] = {}
        self._target: np.ndarray | None = None
        self._ros: RosNode | None = None

    def clock(self) -> float:
        return self._clock()

    def connect(self) -> None:
        """Wait until all joints and cameras have told something new, and somebody listens.

        Raises:
            RobotError: they did not in time; the message says who.
            MissingDependencyError: ROS 2 is absent.
        """
        began = self._clock()
        if self._ros is None:
            self._open()
        self._target = None
        until = time.monotonic() + START_SECONDS
        while (missing := self._missing(began)) is not None:
            if time.monotonic() > until:
                raise missing
            time.sleep(POLL)

    def read(self, *, images: bool = True) -> Observation:
        self._require_connected()
        now = self._clock()
        with self._lock:
            told = [self._joints[name] for name in self._names]
            pictures = dict(self._pictures) if images else {}
        silent = now - min(t.arrived for t in told)
        if silent > self.mapping.silence:
            raise RobotError(
                "joint states do not arrive any more",
                where=self.mapping.state.topic,
                expected=f"some within {self.mapping.silence:g} s",
                got=f"none for {silent:.1f} s",
                next_step="look after the robot's node, then connect() again",
            )
        state = np.array([t.value for t in told]) * self._scale + self._offset
        seen = {c.name: self._picture(c, pictures[c.name]) for c in self.mapping.cameras if images}
        times = [t.time for t in told]
        late = [c.name for c in self.mapping.cameras if images and now - pictures[c.name].time > c.oldest]
        return Observation(
            min(times + [pictures[name].time for name in late]), seen, state.astype(np.float32)
        )

    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None:
        self._require_connected()
        self._target = (np.asarray(action, float) - self._offset) / self._scale
        self._publish(self._target)

    def hold(self) -> None:
        if self._ros is None:
            return
        if self._target is not None:
            self._publish(self._target)
        if self._hold is not None:
            if self._hold.service_is_ready():
                self._hold.call_async(self._hold.srv_type.Request()).add_done_callback(_answered)
            else:
                log.warning("the service %s that holds the robot is not there", self.mapping.services.hold)

    def close(self) -> None:
        ros, self._ros = self._ros, None
        if ros is not None:
            ros.close()

    def _open(self) -> None:
        mapping, ros = self.mapping, RosNode(f"vla_{id(self):x}", self.mapping.domain)
        from rclpy.qos import qos_profile_sensor_data as latest
        from sensor_msgs.msg import CompressedImage, Image, JointState
        from std_srvs.srv import Trigger

        kinds = {"sensor_msgs/Image": Image, "sensor_msgs/CompressedImage": CompressedImage}
        ros.node.create_subscription(JointState, mapping.state.topic, self._on_joints, latest)
        for camera in mapping.cameras:
            on_picture = self._on_picture(camera.name)
            ros.node.create_subscription(kinds[camera.type], camera.topic, on_picture, latest)
        topic, gripper, arm = mapping.command, mapping.gripper, len(mapping.joints)
        apart = gripper is not None and gripper.topic is not None
        whole = self._names[:arm] if apart else self._names
        self._commands = [JointCommands(ros, topic.topic, topic.type, whole, self._reach())]
        if apart:
            assert gripper is not None
            assert gripper.topic is not None
            own = JointCommands(ros, gripper.topic, gripper.type, [gripper.joint], self._reach())
            self._commands.append(own)
        held = mapping.services.hold
        self._hold = None if held is None else ros.node.create_client(Trigger, held)
        self._ros = ros
        ros.start()

    def _reach(self) -> float:
        return self.mapping.command.reach or 1.0 / self.mapping.rate

    def _publish(self, target: np.ndarray) -> None:
        begin = 0
        for commands in self._commands:
            commands.publish(target[begin : begin + len(commands.names)])
            begin += len(commands.names)

    def _picture(self, camera: Ros2Camera, told: _Told) -> Image:
        """Drawn once: the same picture is asked for again until the next one comes."""
        drawn = self._drawn.get(camera.name)
        if drawn is None or drawn[0] is not told:
            drawn = told, picture(camera, told.value)
            self._drawn[camera.name] = drawn
        return drawn[1]

    def _on_joints(self, message: Any) -> None:
        now = self._clock()
        when = self._time_of(message.header.stamp, now)
        with self._lock:
            for name, place in zip(message.name, message.position, strict=False):
                if name not in self._names:
                    self._others.add(name)
                elif math.isfinite(place):
                    self._joints[name] = _Told(float(place), when, now)

    def _on_picture(self, name: str) -> Callable[[Any], None]:
        def on_picture(message: Any) -> None:
            now = self._clock()
            with self._lock:
                self._pictures[name] = _Told(message, self._time_of(message.header.stamp, now), now)

        return on_picture

    def _time_of(self, stamp: Any, now: float) -> float:
        """A message's time by the robot's clock."""
        told = stamp.sec * 1_000_000_000 + stamp.nanosec
        if self.mapping.clock == "arrival" or told == 0 or self._ros is None:
            return now
        age = (self._ros.now() - told) * 1e-9
        return now if -AHEAD < age < 0 else now - age

    def _missing(self, since: float) -> RobotError | None:
        """What has not come since then."""
        with self._lock:
            joints = {name for name, told in self._joints.items() if told.arrived > since}
            cameras = {name for name, told in self._pictures.items() if told.arrived > since}
            others = sorted(self._others)
        topic = self.mapping.state.topic
        absent = [name for name in self._names if name not in joints]
        if absent and not joints and not others:
            return _nothing("no joint states arrive", topic)
        if absent:
            return RobotError(
                "joint states do not tell where all joints are",
                where=topic,
                expected=", ".join(absent),
                got=f"only {', '.join([*sorted(joints), *others][:20])}",
                next_step=f"name joints in the file as messages do: ros2 topic echo --once {topic}",
            )
        camera = next((c for c in self.mapping.cameras if c.name not in cameras), None)
        if camera is not None:
            return _nothing(f"no pictures of camera {camera.name} arrive", camera.topic)
        deaf = next((c for c in self._commands if not c.heard()), None)
        return None if deaf is None else _nothing("nobody listens to commands", deaf.topic)

    def _require_connected(self) -> None:
        if self._ros is None or any(name not in self._joints for name in self._names):
            raise RobotError("the robot is not connected", where=self.spec.name, next_step="connect() first")


def ros2_driver(path: Path) -> Ros2Driver:
    """The robot of a file.

    Raises:
        ConfigError, UnknownNameError: of the file.
    """
    return Ros2Driver(*read_ros2(path))


def _answered(future: Any) -> None:
    error = future.exception()
    if error is not None or not future.result().success:
        log.warning("the robot's own hold: %s", error or future.result().message or "it refused")


def _nothing(message: str, topic: str) -> RobotError:
    return RobotError(
        message,
        where=topic,
        got=f"nothing in {START_SECONDS:g} s",
        next_step=f"ros2 topic info {topic}; ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE have to agree",
    )
