"""A small robot of ROS 2, run as a program: two joints and a gripper that follow commands, and a camera.

It prints "ready" once it tells where it is. Calls of its hold service are counted by a joint named "held".
"""

from __future__ import annotations

import sys
import time

import numpy as np

from vla_data.robots.ros2_node import RosNode, ros

HZ = 100.0
SPEED = 2.0  # rad/s


def main(topics: str) -> None:
    ros()
    from sensor_msgs.msg import Image, JointState
    from std_msgs.msg import Float64MultiArray
    from std_srvs.srv import Trigger
    from trajectory_msgs.msg import JointTrajectory

    robot = RosNode("robot")
    node = robot.node
    names = ["gripper_joint", "elbow", "shoulder"]  # not in the order in which they are commanded
    place = {"shoulder": 0.1, "elbow": -0.2, "gripper_joint": 0.04, "wheel": 0.0, "held": 0.0}
    wanted = dict[str, float](place)

    def trajectory(message: JointTrajectory) -> None:
        (point,) = message.points
        wanted.update(zip(message.joint_names, point.positions, strict=True))

    def gripper(message: Float64MultiArray) -> None:
        wanted["gripper_joint"] = message.data[0]

    def hold(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        wanted["held"] = place["held"] = place["held"] + 1
        response.success = True
        return response

    node.create_subscription(JointTrajectory, f"{topics}/arm", trajectory, 1)
    node.create_subscription(Float64MultiArray, f"{topics}/gripper", gripper, 1)
    node.create_service(Trigger, f"{topics}/hold", hold)
    states = node.create_publisher(JointState, f"{topics}/joint_states", 1)
    pictures = node.create_publisher(Image, f"{topics}/image", 1)
    frame = np.zeros((6, 8, 3), np.uint8)
    frame[..., 2] = 200  # of bgr8: red

    def tell() -> None:
        for name, aim in wanted.items():
            place[name] += float(np.clip(aim - place[name], -SPEED / HZ, SPEED / HZ))
        stamp = node.get_clock().now().to_msg()
        message = JointState(name=[*names, "held"], position=[place[n] for n in [*names, "held"]])
        message.header.stamp = stamp
        states.publish(message)
        image = Image(height=6, width=8, encoding="bgr8", step=24, data=frame.tobytes())
        image.header.stamp = stamp
        pictures.publish(image)

    node.create_timer(1 / HZ, tell)
    robot.start()
    time.sleep(0.1)
    print("ready", flush=True)
    sys.stdin.read()
    robot.close()


if __name__ == "__main__":
    main(sys.argv[1])
