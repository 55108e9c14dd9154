"""A robot of ours as a node of ROS 2: where it is and what it sees as topics, tasks and stops as services.

It moves only while somebody is there: who commands it publishes a heartbeat, and whatever moves ends within
half a second after the last one. Everything goes through the robot's process and its safety kernel.
"""

from __future__ import annotations

import array
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from vla_data.errors import ConfigError, VlaError
from vla_data.robots.driver import RobotError
from vla_data.robots.ros2_node import RosNode, ros
from vla_data.robots.ros2_tasks import RosTasks
from vla_data.types import Camera, Observation, RobotSpec

LONGEST_BEAT = (
    0.3  # seconds: a lease is looked after every 0.08 s, and 0.5 s is the most that a robot may go on
)
DISCOVERY = "ROS_AUTOMATIC_DISCOVERY_RANGE"
TOLD = 0.5  # seconds between diagnostics
FASTEST = 200.0  # Hz


@dataclass(frozen=True)
class Ros2Topics:
    """Names of topics; `~` is the node's. Pictures of a camera are `images`/NAME."""

    joint_states: str = "~/joint_states"
    images: str = "~/images"
    diagnostics: str = "/diagnostics"
    task: str = "~/task"
    heartbeat: str = "~/heartbeat"


@dataclass(frozen=True)
class Ros2Triggers:
    """Names of services, std_srvs/Trigger."""

    run: str = "~/run"
    cancel: str = "~/cancel"
    stop: str = "~/stop"
    reset_stop: str = "~/reset_stop"


@dataclass(frozen=True)
class Ros2ServiceConfig:
    """How a robot appears in ROS 2.

    Args:
        rate: joint states in a second.
        image_rate: pictures of each camera in a second; 0 for none.
        heartbeat: seconds for which one is trusted, at most 0.3.
        discovery: who may find the node, and with it command the robot: nodes of this machine, or all of the
            network. ROS_AUTOMATIC_DISCOVERY_RANGE, where it is set, says it instead.
        domain: of ROS; None for ROS_DOMAIN_ID's.
    """

    node: str = "vla"
    rate: float = 20.0
    image_rate: float = 5.0
    heartbeat: float = 0.25
    discovery: Literal["localhost", "subnet"] = "localhost"
    domain: int | None = None
    topics: Ros2Topics = field(default_factory=Ros2Topics)
    services: Ros2Triggers = field(default_factory=Ros2Triggers)

    def __post_init__(self) -> None:
        if not 0 < self.rate <= FASTEST or not 0 <= self.image_rate <= self.rate:
            raise ConfigError(
                "a robot cannot tell so often where it is",
                where="rate, image_rate",
                expected=f"rate above 0, at most {FASTEST:g} Hz, and image_rate from 0 to it",
                got=f"{self.rate:g}, {self.image_rate:g}",
            )
        if not 0 < self.heartbeat <= LONGEST_BEAT:
            raise ConfigError(
                "a heartbeat cannot be trusted for so long",
                where="heartbeat",
                expected=f"above 0, at most {LONGEST_BEAT:g} s",
                got=f"{self.heartbeat:g}",
            )


@runtime_checkable
class Link(Protocol):
    """What the node asks: a `RobotLink`, or what stands in for one."""

    spec: RobotSpec
    cameras: tuple[Camera, ...]
    skills: Mapping[str, list[str]]

    def ask(self, do: str, **told: Any) -> dict[str, Any]: ...
    def observe(self) -> Observation: ...
    def hold(
        self, owner: str, present: Callable[[], bool], *, seize: bool = False
    ) -> AbstractContextManager[Any]: ...


class Ros2Service:
    """The node, while it is entered.

    Raises:
        MissingDependencyError: ROS 2 is absent.
    """

    def __init__(self, link: Link, config: Ros2ServiceConfig | None = None) -> None:
        self._link, self.config = link, config or Ros2ServiceConfig()
        self.tasks = RosTasks(link, self.config.heartbeat)

    def __enter__(self) -> Ros2Service:
        ros()
        os.environ.setdefault(DISCOVERY, self.config.discovery.upper())
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import Image, JointState
        from std_msgs.msg import Empty, String
        from std_srvs.srv import Trigger

        topics, names = self.config.topics, self.config.services
        self._ros = RosNode(self.config.node, self.config.domain)
        node = self._ros.node
        self._states = node.create_publisher(JointState, topics.joint_states, 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, topics.diagnostics, 1)
        shown = self._link.cameras if self.config.image_rate else ()
        self._images = {c.name: node.create_publisher(Image, f"{topics.images}/{c.name}", 1) for c in shown}
        node.create_subscription(Empty, topics.heartbeat, lambda _: self.tasks.beat(), 1)
        node.create_subscription(String, topics.task, lambda told: self.tasks.choose(told.data), 1)
        for name, do in (
            (names.run, self.tasks.run),
            (names.cancel, self.tasks.cancel),
            (names.stop, self._stop),
            (names.reset_stop, self._reset_stop),
        ):
            node.create_service(Trigger, name, _trigger(do))
        self._ros.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.tasks.close()
        self._ros.close()

    def run(self, over: threading.Event) -> None:
        """Tell where the robot is and what it sees, until `over`."""
        period, looked, told = 1.0 / self.config.rate, -1e9, -1e9
        while not over.wait(period):
            now = time.monotonic()
            if now - told >= TOLD:
                told = now
                self._tell_health()
            try:
                if self._images and now - looked >= 1.0 / self.config.image_rate:
                    looked = now
                    seen = self._link.observe()
                    self._tell_images(seen)
                else:
                    state = self._link.ask("state")
                    seen = Observation(float(state["time"]), {}, state["state"])
                self._tell_joints(seen)
            except RobotError as error:
                self._tell_health(error)
                over.wait(TOLD)

    def _stop(self) -> str:
        self._link.ask("stop", reason=f"{self.config.services.stop} was called")
        return "stopped until reset_stop"

    def _reset_stop(self) -> str:
        self._link.ask("reset_stop")
        return "the stop is taken back"

    def _tell_joints(self, seen: Observation) -> None:
        from sensor_msgs.msg import JointState

        spec = self._link.spec
        told = {dim.name: float(v) for dim, v in zip(spec.state, seen.state, strict=True)}
        joints = [j.name for j in spec.joints if j.name in told]
        speeds = [told[f"{name}_speed"] for name in joints if f"{name}_speed" in told]
        names = [*joints, *(n for n in told if n not in joints and n.removesuffix("_speed") not in joints)]
        message = JointState(name=names, position=[told[name] for name in names])
        if len(speeds) == len(names):
            message.velocity = speeds
        message.header.stamp = self._stamp(seen.time)
        self._states.publish(message)

    def _tell_images(self, seen: Observation) -> None:
        from sensor_msgs.msg import Image

        for name, publisher in self._images.items():
            if name not in seen.images:
                continue
            height, width, _ = seen.images[name].shape
            message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
            message.data = array.array(
                "B", seen.images[name].tobytes()
            )  # other sequences are checked by byte
            message.header.stamp, message.header.frame_id = self._stamp(seen.time), name
            publisher.publish(message)

    def _tell_health(self, error: VlaError | None = None) -> None:
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

        told = self.tasks.told()
        try:
            answer = self._link.ask("motion")
            kernel, motion = answer["kernel"], answer["motion"]
            told |= {f"kernel {k}": str(kernel[k]) for k in ("phase", "owner", "stopped_for")}
            told |= {f"motion {k}": str(motion[k]) for k in ("what", "state", "said", "steps")}
            phase = str(kernel["phase"])
        except RobotError as gone:
            error, phase = gone, "gone"
        bad = error is not None or phase in ("fault", "disconnected", "gone")
        level = DiagnosticStatus.ERROR if bad else DiagnosticStatus.OK
        if not bad and phase == "stopped":
            level = DiagnosticStatus.WARN
        said = str(error) if error is not None else phase
        values = [KeyValue(key=key, value=value) for key, value in told.items()]
        name = f"{self.config.node}: {self._link.spec.name}"
        status = DiagnosticStatus(level=level, name=name, message=said, values=values)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._stamp(time.monotonic())
        self._diagnostics.publish(message)

    def _stamp(self, seen: float) -> Any:
        """ROS's time of a moment of the robot's clock, which is this machine's monotonic one."""
        from rclpy.time import Time

        return Time(nanoseconds=self._ros.now() - int(max(time.monotonic() - seen, 0.0) * 1e9)).to_msg()


def _trigger(do: Callable[[], str]) -> Callable[[Any, Any], Any]:
    """A service: what was done, in words, or why it was not."""

    def answer(request: Any, response: Any) -> Any:
        try:
            response.message, response.success = do(), True
        except VlaError as error:
            response.message, response.success = str(error), False
        return response

    return answer
