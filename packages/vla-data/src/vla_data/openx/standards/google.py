"""Google: RT-1, QT-Opt, BC-Z, Language Table, RoboVQA."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OCTO, PRIMARY, SPOKEN, TFDS, WORLD

GRIPPER = "action/gripper_closedness_action relative"

ENTRIES = {
    "fractal20220817_data": Entry(
        "google_robot", 3, EEF, (*WORLD, GRIPPER), "position quaternion gripper_closed",
        ("observation/base_pose_tool_reached", "observation/gripper_closed"),
        PRIMARY, instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "kuka": Entry(
        "kuka_iiwa", 10, EEF, (*WORLD, GRIPPER), "position quaternion gripper_closed",
        ("observation/clip_function_input/base_pose_tool_reached", "observation/gripper_closed"),
        PRIMARY, instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "bc_z": Entry(
        "google_robot", 10, "delta_position delta_axis_angle gripper",
        ("action/future/xyz_residual[0:3]", "action/future/axis_angle_residual[0:3]",
         "action/future/target_close[0] invert"),
        "position axis_angle gripper_closed",
        ("observation/present/xyz", "observation/present/axis_angle", "observation/present/sensed_close"),
        PRIMARY, instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "language_table": Entry(
        "xarm", 10, "delta_xy", ("action",), "xy", ("observation/effector_translation",),
        {"primary": "rgb"}, instruction="observation/instruction",
        source=f"Lynch et al. 2022, arXiv:2210.06407; {OCTO}", status="synthetic",
    ),
    "robot_vqa": Entry(
        "google_robot", None, instruction="observation/raw_text_question",
        source=f"Sermanet et al. 2023, arXiv:2311.00899; {TFDS}", status="unverified",
    ),
}  # fmt: skip
