"""UT Austin: operational-space deltas of a Franka at 20 Hz, grippers that close at 1."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, OCTO, SPOKEN, TFDS, WITH_WRIST, WORLD

OSC = "osc_position osc_rotation gripper"
SPLIT = ("action[0:6]", "action[6] clip invert")
JOINTS = "joints:7 gripper_width"


def _austin(state: str, keys: tuple[str, ...], cameras: dict[str, str], source: str) -> Entry:
    return Entry("franka", 20, OSC, SPLIT, state, keys, cameras, source=source, status="synthetic")


ENTRIES = {
    "austin_buds_dataset_converted_externally_to_rlds": _austin(
        JOINTS, ("observation/state[0:8]",), WITH_WRIST, BOTH
    ),
    "austin_sailor_dataset_converted_externally_to_rlds": _austin(
        "position quaternion gripper_width", ("observation/state",), WITH_WRIST, BOTH
    ),
    "austin_sirius_dataset_converted_externally_to_rlds": _austin(
        JOINTS, ("observation/state",), WITH_WRIST, f"{TFDS}; gripper from {OCTO}"
    ),
    "utaustin_mutex": _austin(
        JOINTS,
        ("observation/state[0:8]",),
        {"primary": "image bgr", "wrist": "wrist_image bgr"},
        f"{BOTH}; colour order from rlds_dataset_mod",
    ),
    "viola": Entry(
        "franka", 20, OSC, (*WORLD, "action/gripper_closedness_action clip invert"), JOINTS,
        ("observation/joint_states", "observation/gripper_states"),
        {"primary": "agentview_rgb", "wrist": "eye_in_hand_rgb"}, instruction=SPOKEN, source=BOTH,
        status="synthetic",
    ),
}  # fmt: skip
