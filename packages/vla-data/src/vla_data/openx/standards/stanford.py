"""Stanford: HYDRA, RoboTurk, MaskViT, RoboCook, TidyBot, MimicPlay, Mobile ALOHA, and DROID's family."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OCTO, OPENVLA, PRIMARY, SPOKEN, TFDS, WORLD

DROID_ACTION = ("action_dict/cartesian_velocity", "action_dict/gripper_position clip invert")
DROID_STATE = ("observation/cartesian_position", "observation/gripper_position")
DROID_WORDS = "command_velocity command_angular_velocity gripper"
FOUR = ("primary", "secondary", "tertiary", "fourth")
TDROID = (
    "carrot_in_bowl", "cover_object_with_towel", "flip_pot_upright", "knock_object_over",
    "move_object_onto_plate", "pour_corn_in_pot",
)  # fmt: skip


def _tdroid() -> Entry:
    """Demonstrations of OpenVLA's authors on a DROID table (arXiv:2406.09246)."""
    return Entry(
        "franka", 5, EEF, ("action[0:6]", "action[6] binarise"), "position euler gripper", DROID_STATE,
        {"primary": "static_image"}, {"primary": "static_depth_image"}, source=OPENVLA, status="unverified",
    )  # fmt: skip


ENTRIES = {
    "droid": Entry(
        "franka", 15, DROID_WORDS, DROID_ACTION, "position euler gripper_closed", DROID_STATE,
        {"primary": "exterior_image_1_left", "secondary": "exterior_image_2_left",
         "wrist": "wrist_image_left"},
        instruction="language_instruction language_instruction_2 language_instruction_3",
        source=f"DROID's own description (Khazatsky et al. 2024, arXiv:2403.12945); {OPENVLA}",
        status="synthetic",
    ),
    "droid_wipe": Entry(
        "franka", 15, DROID_WORDS, DROID_ACTION, "position euler gripper_closed", DROID_STATE,
        {"primary": "exterior_image_2_left", "wrist": "wrist_image_left"},
        source=OPENVLA, status="unverified",
    ),
    **{f"tdroid_{task}": _tdroid() for task in TDROID},
    "aloha_mobile": Entry(
        "mobile_aloha", 50,
        "left.joints:6 left.gripper_unsigned right.joints:6 right.gripper_unsigned base:2", ("action",),
        "left.joints:6 left.gripper_unsigned right.joints:6 right.gripper_unsigned", ("observation/state",),
        {"primary": "cam_high", "wrist_left": "cam_left_wrist", "wrist_right": "cam_right_wrist"},
        source=f"Fu et al. 2024, arXiv:2401.02117; {TFDS}", status="synthetic",
    ),
    "mimic_play": Entry(
        "franka", None, "osc_position osc_rotation gripper_unsigned", ("action",),
        "position quaternion gripper joints:7",
        ("observation/state/ee_pose", "observation/state/gripper_position",
         "observation/state/joint_positions"),
        {"primary": "observation/image/front_image_1", "secondary": "observation/image/front_image_2",
         "wrist": "observation/wrist_image/wrist_image"},
        source=f"Wang et al. 2023, arXiv:2302.12422; {TFDS}", status="synthetic",
    ),
    "roboturk": Entry(
        "sawyer", 10, EEF, (*WORLD, "action/gripper_closedness_action clip invert"),
        cameras={"primary": "front_rgb"}, instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "stanford_hydra_dataset_converted_externally_to_rlds": Entry(
        "franka", 10, EEF, ("action[0:6]", "action[6] invert"), "position euler gripper",
        ("observation/state[0:3,7:10,24]",), {"primary": "image bgr", "wrist": "wrist_image bgr"},
        source=f"{BOTH}; colour order from rlds_dataset_mod", status="synthetic",
    ),
    "stanford_kuka_multimodal_dataset_converted_externally_to_rlds": Entry(
        "kuka_iiwa", 20, "delta_position gripper", ("action",), "position quaternion",
        ("observation/ee_position", "observation/ee_orientation"), PRIMARY, {"primary": "depth_image"},
        source=BOTH, status="synthetic",
    ),
    "stanford_mask_vit_converted_externally_to_rlds": Entry(
        "sawyer", None, "delta_position delta_yaw gripper", ("action[0:4]", "action[4] signed invert"),
        "position yaw gripper", ("observation/end_effector_pose",), PRIMARY, source=TFDS, status="synthetic",
    ),
    "stanford_robocook_converted_externally_to_rlds": Entry(
        "franka", 5, "velocity angular_velocity gripper_velocity", ("action",),
        "position euler gripper_width", ("observation/state",),
        {role: f"image_{i}" for i, role in enumerate(FOUR, 1)},
        {role: f"depth_{i}" for i, role in enumerate(FOUR, 1)}, source=f"{TFDS}; {OCTO}", status="synthetic",
    ),
    "tidybot": Entry("tidybot", None, cameras=PRIMARY, source=TFDS, status="synthetic"),
}  # fmt: skip
