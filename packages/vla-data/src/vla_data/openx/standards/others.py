"""Other labs, one data set each or two."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OCTO, OPENVLA, PRIMARY, SPOKEN, TFDS, WITH_WRIST

EVEN, ODD = ",".join(map(str, range(0, 14, 2))), ",".join(map(str, range(1, 14, 2)))
FOUR = ("primary", "secondary", "tertiary", "fourth")

ENTRIES = {
    "asu_table_top_converted_externally_to_rlds": Entry(
        "ur5", 12.5, EEF, ("action",), "position euler gripper",
        ("ground_truth_states/EE", "observation/state[6]"), PRIMARY, source=BOTH, status="synthetic",
    ),
    "conq_hose_manipulation": Entry(
        "spot", 30, "raw:7", ("action",), "raw:66", ("observation/state",),
        {"primary": "frontleft_fisheye_image", "secondary": "frontright_fisheye_image",
         "wrist": "hand_color_image"},
        source=TFDS, status="synthetic",
    ),
    "furniture_bench_dataset_converted_externally_to_rlds": Entry(
        "franka", 10, "delta_position delta_quaternion gripper", ("action[0:7]", "action[7] clip invert"),
        "position quaternion gripper_width", ("observation/state[0:7,34]",), WITH_WRIST,
        source=f"builder of its authors (Heo et al. 2023, arXiv:2305.12821); {OCTO}", status="synthetic",
    ),
    "io_ai_tech": Entry(
        "human_hand", None, "raw:7", ("action",), "raw:8", ("observation/state",),
        {"primary": "image", "secondary": "image_left_side", "tertiary": "image_right_side",
         "fisheye": "image_fisheye"},
        source=TFDS, status="synthetic",
    ),
    "jaco_play": Entry(
        "jaco2", 10, "delta_position gripper",
        ("action/world_vector", "action/gripper_closedness_action relative"), "position raw:4",
        ("observation/end_effector_cartesian_pos",), {"primary": "image", "wrist": "image_wrist"},
        instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "kaist_nonprehensile_converted_externally_to_rlds": Entry(
        "franka", 10, "delta_position delta_axis_angle raw:14", ("action",),
        "position quaternion joints:7 joint_velocity:7",
        (f"observation/state[14:21,{EVEN},{ODD}]",), PRIMARY, source=TFDS, status="synthetic",
    ),
    "rh20t": Entry(
        "flexiv", 10, "position quaternion gripper_unsigned", ("action/tcp_base", "action/gripper"),
        "position quaternion gripper_width", ("observation/tcp_base", "observation/gripper_width"),
        {"primary": "image_front", "secondary": "image_side_right", "wrist": "image_wrist"},
        source=OPENVLA, status="unverified",
    ),
    "robo_net": Entry(
        "several", 1, "delta_position delta_yaw gripper_unsigned", ("action",), "position yaw gripper",
        ("observation/state",), {"primary": "image", "secondary": "image1", "tertiary": "image2"},
        source=f"Dasari et al. 2019, arXiv:1910.11215; {OCTO}", status="synthetic",
    ),
    "ucsd_kitchen_dataset_converted_externally_to_rlds": Entry(
        "xarm", 2, "unitless_position unitless_rotation gripper", ("action[0:7]",),
        "joints:7 joint_velocity:7 joint_torque:7", ("observation/state",), PRIMARY, source=BOTH,
        status="synthetic",
    ),
    "ucsd_pick_and_place_dataset_converted_externally_to_rlds": Entry(
        "xarm", 3, "velocity gripper_unsigned", ("action",), "position euler gripper_width",
        ("observation/state",), PRIMARY, source=BOTH, status="synthetic",
    ),
    "uiuc_d3field": Entry(
        "kinova_gen3", 1, "delta_position", ("action",), "matrix", ("observation/state",),
        {role: f"image_{i}" for i, role in enumerate(FOUR, 1)},
        {role: f"depth_{i} *0.001" for i, role in enumerate(FOUR, 1)}, source=BOTH, status="synthetic",
    ),
}  # fmt: skip
