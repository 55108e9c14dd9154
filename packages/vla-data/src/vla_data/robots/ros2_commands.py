"""A topic of ROS 2 on which joints are commanded."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vla_data.robots.ros2_mapping import Commands
from vla_data.robots.ros2_node import RosNode

TRAJECTORY = "trajectory_msgs/JointTrajectory"


class JointCommands:
    """Commands of some joints.

    Args:
        names: of the joints, as messages name them.
        reach: seconds after which a trajectory's point is to be reached.
    """

    def __init__(self, ros: RosNode, topic: str, kind: Commands, names: list[str], reach: float) -> None:
        from rclpy.duration import Duration
        from std_msgs.msg import Float64MultiArray
        from trajectory_msgs.msg import JointTrajectory

        self.topic, self.names, self._trajectory = topic, names, kind == TRAJECTORY
        self._reach = Duration(seconds=reach).to_msg()
        message = JointTrajectory if self._trajectory else Float64MultiArray
        self._publisher = ros.node.create_publisher(message, topic, 1)

    def heard(self) -> bool:
        """Whether somebody listens."""
        return self._publisher.get_subscription_count() > 0

    def publish(self, places: Float64[np.ndarray, "joints"]) -> None:
        """Joints to places; a trajectory without a stamp begins when it comes."""
        numbers = [float(v) for v in places]
        if self._trajectory:
            from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

            point = JointTrajectoryPoint(positions=numbers, time_from_start=self._reach)
            self._publisher.publish(JointTrajectory(joint_names=self.names, points=[point]))
        else:
            from std_msgs.msg import Float64MultiArray

            self._publisher.publish(Float64MultiArray(data=numbers))
