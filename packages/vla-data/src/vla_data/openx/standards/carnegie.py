"""Carnegie Mellon: Franka and Stretch data sets, TOTO, RoboSet."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import (
    BOTH,
    EEF,
    OCTO,
    OPENVLA,
    PRIMARY,
    SPOKEN,
    TFDS,
    WITH_WRIST,
    WORLD,
)

ROBOSET = ("action[0:7]", "action[7] clip invert")

ENTRIES = {
    "cmu_franka_exploration_dataset_converted_externally_to_rlds": Entry(
        "franka", 10, EEF, ("action[0:7]",), cameras={"primary": "highres_image", "primary_small": "image"},
        source=BOTH, status="synthetic",
    ),
    "cmu_play_fusion": Entry(
        "franka", 5, "delta_position delta_quaternion gripper", ("action[0:8]",), "joints:7 gripper",
        ("observation/state",), PRIMARY, source=TFDS, status="synthetic",
    ),
    "cmu_playing_with_food": Entry(
        "franka", 10, "position quaternion gripper", ("action",), "force torque", ("observation/state",),
        {"primary": "image", "wrist": "finger_vision_1", "wrist_second": "finger_vision_2"},
        source=f"builder of its authors; {OCTO}", status="synthetic",
    ),
    "cmu_stretch": Entry(
        "hello_stretch", 10, EEF, ("action[0:7]",), "position gripper", ("observation/state",), PRIMARY,
        source=BOTH, status="synthetic",
    ),
    "iamlab_cmu_pickup_insert_converted_externally_to_rlds": Entry(
        "franka", 20, "position quaternion gripper", ("action",), "joints:7 gripper",
        ("observation/state[0:8]",), WITH_WRIST, source=BOTH, status="synthetic",
    ),
    "toto": Entry(
        "franka", 30, EEF, (*WORLD, "action/open_gripper"), "joints:7", ("observation/state",), PRIMARY,
        instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "robo_set": Entry(
        "franka", 5, "joints:7 gripper", ROBOSET, "joints:7 gripper", ("observation/state",),
        {"primary": "image_left", "secondary": "image_right", "tertiary": "image_top",
         "wrist": "image_wrist"},
        source=f"Bharadhwaj et al. 2023, arXiv:2309.01918; {TFDS}; {OPENVLA}", status="synthetic",
    ),
    "roboset": Entry(
        "franka", 5, "joints:7 gripper", ROBOSET, "joints:7 gripper", ("observation/state",),
        {"primary": "image_left", "secondary": "image_right", "wrist": "image_wrist"},
        source=OPENVLA, status="unverified",
    ),
}  # fmt: skip
