"""Simulated: ManiSkill, robosuite, LIBERO, VIMA, SPOC, cloth."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import PRIMARY, TFDS, WITH_WRIST

ROBOSUITE = ("action[0:3]", "action[3:6]", "action[6] signed invert")  # the gripper opens at -1, closes at 1
LIBERO_SUITES = ("10", "goal", "object", "spatial")


def _libero() -> Entry:
    """LIBERO without the steps that do nothing (Kim et al. 2024, arXiv:2406.09246); frames stand upright."""
    return Entry(
        "franka", 20, "libero_position libero_rotation gripper", ROBOSUITE,
        "position axis_angle gripper_width:2", ("observation/state",), WITH_WRIST,
        source="LIBERO (Liu et al. 2023, arXiv:2306.03310); builder of OpenVLA's authors",
        status="synthetic",
    )  # fmt: skip


ENTRIES = {
    **{f"libero_{suite}_no_noops": _libero() for suite in LIBERO_SUITES},
    "maniskill_dataset_converted_externally_to_rlds": Entry(
        "franka", 20, "maniskill_position maniskill_rotation gripper",
        ("action[0:6]", "action[6] signed"), "position quaternion gripper_width:2",
        ("observation/tcp_pose[0:3,4:7,3]", "observation/state[7:9]"), WITH_WRIST,
        {"primary": "depth *0.0009765625", "wrist": "wrist_depth *0.0009765625"},
        source=TFDS, status="synthetic",
    ),
    "plex_robosuite": Entry(
        "franka", 20, "osc_position osc_rotation gripper", ROBOSUITE, "raw:32", ("observation/state",),
        WITH_WRIST, source=f"Thomas et al. 2023, arXiv:2303.08789; {TFDS}; robosuite's conventions",
        status="synthetic",
    ),
    "spoc": Entry(
        "hello_stretch", None, "raw:9", ("action",), "raw:6 arm.raw:4",
        ("observation/last_agent_location", "observation/relative_arm_location_metadata"),
        {"primary": "image", "secondary": "image_manipulation"},
        source=f"Ehsani et al. 2023, arXiv:2312.02976; {TFDS}", status="synthetic",
    ),
    "usc_cloth_sim_converted_externally_to_rlds": Entry(
        "franka", None, "unitless_position gripper", ("action[0:3]", "action[3] clip invert"),
        cameras=PRIMARY, source=TFDS, status="synthetic",
    ),
    "vima_converted_externally_to_rlds": Entry(
        "ur5", None, "pick.position pick.quaternion place.position place.quaternion",
        ("action/pose0_position", "action/pose0_rotation", "action/pose1_position", "action/pose1_rotation"),
        cameras={"primary": "image", "secondary": "frontal_image"}, instruction="multimodal_instruction",
        source=f"Jiang et al. 2023, arXiv:2210.03094; {TFDS}", status="synthetic",
    ),
}  # fmt: skip
