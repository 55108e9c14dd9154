"""Europe and Australia: DLR, ETH, Imperial College, Freiburg, QUT."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OCTO, PRIMARY, SPOKEN, TFDS, WITH_WRIST

ZXY = "delta_position delta_euler_zxy gripper"  # scipy's Rotation.as_euler("zxy")


def _dlr(robot: str, hz: float, action: tuple[str, ...], state: str, keys: tuple[str, ...]) -> Entry:
    return Entry(robot, hz, ZXY, action, state, keys, PRIMARY, source=BOTH, status="synthetic")


ENTRIES = {
    "dlr_edan_shared_control_converted_externally_to_rlds": _dlr(
        "dlr_edan", 5, ("action[0:6]", "action[6] invert"), "position euler_zxy gripper",
        ("observation/state",),
    ),
    "dlr_sara_grid_clamp_converted_externally_to_rlds": _dlr(
        "dlr_sara", 10, ("action",), "position euler_zxy force torque", ("observation/state",)
    ),
    "dlr_sara_pour_converted_externally_to_rlds": _dlr(
        "dlr_sara", 10, ("action",), "position euler_zxy", ("observation/state",)
    ),
    "eth_agent_affordances": Entry(
        "franka", None, "velocity@world angular_velocity@world", ("action",),
        "position euler_zyx gripper_unsigned raw", ("observation/state",), source=TFDS, status="synthetic",
    ),
    "imperialcollege_sawyer_wrist_cam": Entry(
        "sawyer", 10, "delta_position@gripper delta_euler_zyx@gripper gripper", ("action[0:7]",), "gripper",
        ("observation/state",), WITH_WRIST, source=BOTH, status="synthetic",
    ),
    "taco_play": Entry(
        "franka", 15, EEF, ("action/rel_actions_world[0:6]", "action/rel_actions_world[6] clip"),
        "position euler gripper_width", ("observation/robot_obs[0:7]",),
        {"primary": "rgb_static", "wrist": "rgb_gripper"},
        {"primary": "depth_static", "wrist": "depth_gripper"},
        f"{SPOKEN} observation/structured_language_instruction",
        source=f"Mees et al. 2023, arXiv:2210.01911; {OCTO}", status="synthetic",
    ),
    "qut_dexterous_manpulation": Entry(
        "franka", 30, "delta_position delta_quaternion gripper_delta", ("action",),
        "position quaternion joints:7 gripper_width:2 joint_velocity:7", ("observation/state",), WITH_WRIST,
        source="builder of its authors (LHManip, Ceola et al. 2023, arXiv:2312.12036)", status="synthetic",
    ),
}  # fmt: skip
