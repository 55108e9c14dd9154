"""The file that says which topics of ROS 2 are a robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.robots.mapping import gripper_line, joint_robot, read_mapping, urdf_limits
from vla_data.types import Camera, Joint, RobotSpec

Commands = Literal["trajectory_msgs/JointTrajectory", "std_msgs/Float64MultiArray"]
Pictures = Literal["sensor_msgs/Image", "sensor_msgs/CompressedImage"]
DOMAINS = 232  # of ROS 2, from 0


@dataclass(frozen=True)
class Ros2Joint:
    """A joint by the name that messages give it.

    Args:
        low, high: radians (metres of a sliding one); None: as the URDF says.
        velocity: in a second; None: as the URDF says.
    """

    name: str
    low: float | None = None
    high: float | None = None
    velocity: float | None = None
    unit: Literal["rad", "m"] = "rad"


@dataclass(frozen=True)
class StateTopic:
    """Where joints are: sensor_msgs/JointState; several nodes may each tell some of them."""

    topic: str = "/joint_states"
    type: Literal["sensor_msgs/JointState"] = "sensor_msgs/JointState"


@dataclass(frozen=True)
class CommandTopic:
    """Where joints are to be.

    Args:
        type: a trajectory of one point, or the numbers alone in the order of the file's joints.
        reach: seconds after which a trajectory's point is to be reached; None for one control step.
    """

    topic: str
    type: Commands = "trajectory_msgs/JointTrajectory"
    reach: float | None = None


@dataclass(frozen=True)
class Ros2Gripper:
    """A gripper.

    Args:
        joint: its name in the joint states.
        open, closed: where that joint then is.
        topic: of its own commands; None: it is one more joint of the arm's.
    """

    joint: str
    open: float
    closed: float
    topic: str | None = None
    type: Commands = "std_msgs/Float64MultiArray"


@dataclass(frozen=True)
class Ros2Camera:
    """A camera.

    Args:
        height, width: of what is handed on.
        resize: pictures of another size are drawn to that; else they are an error.
        oldest: seconds; an observation with an older picture is as old as the picture.
    """

    name: str
    topic: str
    height: int
    width: int
    type: Pictures = "sensor_msgs/Image"
    resize: bool = False
    oldest: float = 0.5


@dataclass(frozen=True)
class Ros2Services:
    """Services that are called, std_srvs/Trigger. `hold`: whenever the safety kernel holds the robot."""

    hold: str | None = None


@dataclass(frozen=True)
class Ros2Mapping:
    """A robot over ROS 2.

    Args:
        rate: commands in a second.
        urdf: a file beside this one, for limits that joints do not say.
        clock: "stamp": an observation is as old as its messages' stamps say, by the clock of this machine;
            "arrival": as old as their arrival, for robots whose clock is another.
        silence: seconds without joint states after which the robot is gone.
        domain: of ROS; None for ROS_DOMAIN_ID's.
    """

    name: str
    rate: float
    joints: tuple[Ros2Joint, ...]
    command: CommandTopic
    state: StateTopic = field(default_factory=StateTopic)
    gripper: Ros2Gripper | None = None
    cameras: tuple[Ros2Camera, ...] = ()
    services: Ros2Services = field(default_factory=Ros2Services)
    urdf: Path | None = None
    clock: Literal["stamp", "arrival"] = "stamp"
    silence: float = 2.0
    domain: int | None = None

    def __post_init__(self) -> None:
        if self.domain is not None and not 0 <= self.domain <= DOMAINS:
            raise ConfigError(
                "ROS 2 has no such domain", where="domain", expected=f"0 to {DOMAINS}", got=str(self.domain)
            )
        if not self.silence > 0:
            raise ConfigError(
                "a robot cannot be silent so shortly",
                where="silence",
                expected="above 0",
                got=f"{self.silence}",
            )
        if self.gripper is not None:
            gripper_line(self.gripper.open, self.gripper.closed)

    def views(self) -> tuple[Camera, ...]:
        """Its cameras."""
        return tuple(Camera(c.name, c.width, c.height) for c in self.cameras)


def read_ros2(path: Path) -> tuple[Ros2Mapping, RobotSpec]:
    """A file, and the robot that it describes.

    Raises:
        ConfigError, UnknownNameError: of the file, or the URDF that it names.
    """
    mapping = read_mapping(Ros2Mapping, path)
    try:
        limits = {} if mapping.urdf is None else urdf_limits(path.parent / mapping.urdf)
        joints = [_joint(joint, limits, mapping.urdf) for joint in mapping.joints]
        return mapping, joint_robot(mapping.name, joints, mapping.rate, gripper=mapping.gripper is not None)
    except ConfigError as error:
        error.where = f"{error.where} in {path}"
        raise


def _joint(
    told: Ros2Joint, limits: dict[str, tuple[float | None, float | None, float | None]], urdf: Path | None
) -> Joint:
    if limits and told.name not in limits:
        raise UnknownNameError("joint", told.name, limits, where=f"joints, by {urdf}")
    own = (told.low, told.high, told.velocity)
    numbers = [a if a is not None else b for a, b in zip(own, limits.get(told.name, own), strict=True)]
    low, high, velocity = numbers
    if low is None or high is None or velocity is None:
        raise ConfigError(
            "a joint has no limits",
            where=f"joints: {told.name}",
            expected="low, high and velocity, here or in a URDF",
            next_step='give it low, high and velocity, or the file urdf = "FILE"',
        )
    return Joint(told.name, low, high, velocity, told.unit)
