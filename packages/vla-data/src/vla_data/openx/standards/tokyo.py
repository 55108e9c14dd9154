"""University of Tokyo: Cobotta, PR2, xArm (one and two arms), and a walking robot."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OCTO, PRIMARY, TFDS

POSE = "position euler gripper"
BOTH_ARMS = ("left", "right")


def _pr2() -> Entry:
    return Entry(
        "pr2", 10, EEF, ("action[0:7]",), POSE, ("observation/state",), PRIMARY,
        source=BOTH, status="synthetic",
    )  # fmt: skip


ENTRIES = {
    "tokyo_u_lsmo_converted_externally_to_rlds": Entry(
        "cobotta", 10, EEF, ("action",), POSE, ("observation/state[0:6,12]",), PRIMARY, source=BOTH,
        status="synthetic",
    ),
    "utokyo_pr2_opening_fridge_converted_externally_to_rlds": _pr2(),
    "utokyo_pr2_tabletop_manipulation_converted_externally_to_rlds": _pr2(),
    "utokyo_saytap_converted_externally_to_rlds": Entry(
        "unitree_a1", 50, "joints:12", ("action",),
        "linear_velocity angular_velocity joints:12 joint_velocity:12", ("observation/state",),
        source=f"Tang et al. 2023, arXiv:2306.07580; {TFDS}", status="synthetic",
    ),
    "utokyo_xarm_bimanual_converted_externally_to_rlds": Entry(
        "xarm_bimanual", 10,
        " ".join(f"{s}.position {s}.euler_zyx {s}.gripper_unsigned" for s in BOTH_ARMS), ("action",),
        " ".join(f"{s}.position {s}.euler_zyx" for s in BOTH_ARMS),
        ("observation/pose_l", "observation/pose_r"), PRIMARY, source=TFDS, status="synthetic",
    ),
    "utokyo_xarm_pick_and_place_converted_externally_to_rlds": Entry(
        "xarm", 10, "position euler_zyx gripper_unsigned", ("action",), "position euler_zyx",
        ("observation/end_effector_pose",),
        {"primary": "image", "secondary": "image2", "wrist": "hand_image"},
        source=f"{TFDS}; {OCTO}", status="synthetic",
    ),
}  # fmt: skip
