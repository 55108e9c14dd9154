"""New York: doors, play and household demonstrations of NYU, planar pushing of Columbia."""

from __future__ import annotations

from vla_data.openx.standard import Entry
from vla_data.openx.standards.sources import BOTH, EEF, OPENVLA, PRIMARY, SPOKEN, TFDS, WITH_WRIST, WORLD

RELATIVE = (*WORLD, "action/gripper_closedness_action relative")

ENTRIES = {
    "nyu_door_opening_surprising_effectiveness": Entry(
        "hello_stretch", 3, "velocity angular_velocity gripper", RELATIVE, cameras={"wrist": "image"},
        instruction=SPOKEN, source=BOTH, status="synthetic",
    ),
    "nyu_franka_play_dataset_converted_externally_to_rlds": Entry(
        "franka", 3, EEF, ("action[7:13]", "action[13] clip"), "position euler",
        ("observation/state[7:13]",), {"primary": "image", "secondary": "image_additional_view"},
        {"primary": "depth *0.001", "secondary": "depth_additional_view *0.001"},
        source=BOTH, status="synthetic",
    ),
    "nyu_rot_dataset_converted_externally_to_rlds": Entry(
        "xarm", 3, EEF, ("action[0:6]", "action[6] invert"), "position euler gripper_closed",
        ("observation/state",), PRIMARY, source=TFDS, status="synthetic",
    ),
    "dobbe": Entry(
        "hello_stretch", 3.75, EEF, ("action",), "position euler gripper", ("observation/state",),
        {"wrist": "wrist_image"}, source=f"Shafiullah et al. 2023, arXiv:2311.16098; {TFDS}; {OPENVLA}",
        status="synthetic",
    ),
    "columbia_cairlab_pusht_real": Entry(
        "ur5", 10, EEF, RELATIVE, "xy", ("observation/robot_state",), WITH_WRIST, instruction=SPOKEN,
        source=BOTH, status="synthetic",
    ),
}  # fmt: skip
