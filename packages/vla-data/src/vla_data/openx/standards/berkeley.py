"""Berkeley: BridgeData, Autolab, cable routing, Fanuc, MVP, RPT, FMB, and the GNM vehicles."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OPENVLA, PRIMARY, SPOKEN, TFDS, WORLD

WALKE = "BridgeData V2 (Walke et al. 2023, arXiv:2308.12952)"
Checked = Literal["synthetic", "unverified"]
POSE = "position euler gripper"
# The numbers are differences of poses, so the first action of an episode is zero but for the gripper.
BRIDGE = Entry(
    "widowx250", 5, EEF, ("action",), POSE, ("observation/state",),
    {"primary": "image_0", "secondary": "image_1", "tertiary": "image_2", "wrist": "image_3"},
    drop_still_start=True, source=WALKE, status="real",
)  # fmt: skip


def _bridge_mix(cameras: dict[str, str], source: str, status: Checked) -> Entry:
    """Bridge as it lies in the Open X mixture: its action is a dictionary."""
    return Entry(
        "widowx250", 5, EEF, (*WORLD, "action/open_gripper"), POSE, ("observation/state",), cameras,
        instruction=SPOKEN, drop_still_start=True, source=source, status=status,
    )  # fmt: skip


def _gnm(robot: str, hz: float) -> Entry:
    """Vehicles of GNM (Shah et al. 2022, arXiv:2210.03370): the action is a displacement on the ground."""
    return Entry(
        robot, hz, "base_xy", ("action",), "xy yaw", ("observation/position", "observation/yaw"), PRIMARY,
        source=BOTH, status="synthetic",
    )  # fmt: skip


def _fmb(source: str, status: Checked) -> Entry:
    return Entry(
        "franka", 10, "delta_position delta_euler gripper_unsigned", ("action",),
        "position quaternion gripper", ("observation/eef_pose", "observation/state_gripper_pose"),
        {"primary": "image_side_1", "secondary": "image_side_2", "wrist": "image_wrist_1",
         "wrist_second": "image_wrist_2"},
        {"primary": "image_side_1_depth", "secondary": "image_side_2_depth", "wrist": "image_wrist_1_depth",
         "wrist_second": "image_wrist_2_depth"},
        source=source, status=status,
    )  # fmt: skip


def _sensorimotor(robot: str, hz: float, state: str, key: str) -> Entry:
    """Masked pre-training on xArm and Franka (arXiv:2203.06173, arXiv:2306.10007): joint deltas."""
    return Entry(
        robot, hz, "delta_joints:7 gripper", ("action[0:7]", "action[7] invert"), f"{state} gripper_closed",
        (key, "observation/gripper"), {"wrist": "hand_image"}, source=TFDS, status="synthetic",
    )  # fmt: skip


ENTRIES = {
    "bridge_dataset": BRIDGE,
    "bridge_orig": replace(BRIDGE, status="synthetic", source=f"{WALKE}; {OPENVLA}"),
    "bridge": _bridge_mix(PRIMARY, BOTH, "synthetic"),
    "bridge_oxe": _bridge_mix({"primary": "image", "secondary": "image_1"}, OPENVLA, "unverified"),
    "berkeley_autolab_ur5": Entry(
        "ur5", 5, EEF, (*WORLD, "action/gripper_closedness_action relative"),
        "position quaternion gripper_closed", ("observation/robot_state[6:14]",),
        {"primary": "image", "wrist": "hand_image bgr"}, {"primary": "image_with_depth"}, SPOKEN,
        source=f"{BOTH}; colour order from rlds_dataset_mod", status="synthetic",
    ),
    "berkeley_cable_routing": Entry(
        "franka", 10, "velocity angular_velocity", WORLD, "joints:7", ("observation/robot_state",),
        {"primary": "image", "secondary": "top_image", "wrist": "wrist45_image",
         "wrist_second": "wrist225_image"},
        instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "berkeley_fanuc_manipulation": Entry(
        "fanuc_mate", 10, EEF, ("action", "observation/state[6] clip invert"), "joints:6 gripper_closed",
        ("observation/state[0:7]",), {"primary": "image bgr", "wrist": "wrist_image bgr"},
        source=f"{BOTH}; colour order from rlds_dataset_mod", status="synthetic",
    ),
    "berkeley_gnm_cory_hall": _gnm("rc_car", 5),
    "berkeley_gnm_recon": _gnm("jackal", 3),
    "berkeley_gnm_sac_son": _gnm("turtlebot2", 10),
    "berkeley_mvp_converted_externally_to_rlds": _sensorimotor(
        "xarm", 5, "position quaternion", "observation/pose"
    ),
    "berkeley_rpt_converted_externally_to_rlds": _sensorimotor(
        "franka", 30, "joints:7", "observation/joint_pos"
    ),
    "fmb": _fmb(f"Luo et al. 2024, arXiv:2401.08553; {TFDS}; {OPENVLA}", "synthetic"),
    "fmb_dataset": _fmb(OPENVLA, "unverified"),
}  # fmt: skip
