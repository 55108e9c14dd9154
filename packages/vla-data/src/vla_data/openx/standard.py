"""One entry a data set: which keys are the action, the state, the cameras, and what the numbers mean.

Readers translate foreign names here and nowhere else. A data set without an entry is read by what its
keys are called (`vla_data.formats.rlds.foreign`), and its action then means nothing to a robot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vla_data.types import ActionDim, ActionSpec, RobotSpec, StateDim


@dataclass(frozen=True)
class Standard:
    """How a foreign data set says what this suite says.

    Args:
        robot: what its action and state mean.
        action: keys under `steps/`, joined in order.
        state: likewise; empty when it has none.
        cameras: our camera name → key under `steps/`.
        instruction: key under `steps/`.
        time: key under `steps/` of seconds; None counts steps at the control rate.
        drop_still_start: the first action of each episode commands no motion; its step is dropped.
        assumed: derived from names alone, so meanings and the control rate are guesses.
    """

    robot: RobotSpec
    action: tuple[str, ...]
    state: tuple[str, ...] = ()
    cameras: Mapping[str, str] = field(default_factory=dict)
    instruction: str | None = None
    time: str | None = None
    drop_still_start: bool = False
    assumed: bool = False


def bridge() -> Standard:
    """BridgeData V2 (Walke et al. 2023, arXiv:2308.12952): WidowX 250, end-effector deltas at 5 Hz.

    The gripper command is absolute, 1 open and 0 closed. The first action of an episode is all zero but
    for the gripper: the numbers are differences of poses, and there is none before the first.
    """
    delta = [ActionDim(a, "position", "delta", "base", "m") for a in ("x", "y", "z")]
    turn = [ActionDim(a, "rotation", "delta", "base", "rad") for a in ("roll", "pitch", "yaw")]
    gripper = ActionDim("gripper", "gripper", "absolute", "none", "1", low=0.0, high=1.0)
    action = ActionSpec((*delta, *turn, gripper), control_hz=5.0, rotation="euler_xyz", gripper_closes=-1)
    pose = [StateDim(a, "m") for a in ("x", "y", "z")] + [
        StateDim(a, "rad") for a in ("roll", "pitch", "yaw")
    ]
    return Standard(
        robot=RobotSpec("widowx250", action, (*pose, StateDim("gripper"))),
        action=("action",),
        state=("observation/state",),
        cameras={f"image_{i}": f"observation/image_{i}" for i in range(4)},
        instruction="language_instruction",
        drop_still_start=True,
    )


STANDARDS: dict[str, Callable[[], Standard]] = {"bridge_dataset": bridge}
