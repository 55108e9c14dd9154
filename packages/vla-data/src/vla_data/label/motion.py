"""How a robot moved in an episode, read from its action as the `ActionSpec` says, whatever the robot.

Every labeller works on this and on nothing else, so that a convention (deltas or targets, which sign closes
the gripper) is dealt with once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vla_data.types import ActionDim, ActionSpec, Episode, Frame

SMALL = 1e-9
HAND = 0.1  # metres from the wrist to what the hand works on: turning by 1 rad moves it so far
RELATIVE_COMMAND = 0.1  # of the range: a relative gripper command below this asks for nothing
TYPICAL = 95  # percentile of speed that counts as full speed: a few jerks do not set the scale


@dataclass(frozen=True, eq=False)
class Motion:
    """T steps of motion.

    Args:
        travel: translation commanded in each step, float64 [T, k], in the action's own units; joint motion,
            or whatever else there is, for a robot whose action has no position.
        turn: rotation likewise, float64 [T, m], possibly m = 0.
        closing: gripper command, float64 [T]: 0 open … 1 closed; None without a gripper.
        frame: of `travel`.
        metric: travel is in metres and turn in radians, so that they can be weighed against each other.
        axes: which of x, y, z (0, 1, 2) each column of `travel` is; empty when they are no directions.
    """

    travel: np.ndarray
    turn: np.ndarray
    closing: np.ndarray | None
    frame: Frame
    metric: bool
    axes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.travel)

    @property
    def features(self) -> np.ndarray:
        """Travel and turn, each in parts of full speed, float64 [T, k + m]."""
        parts = [self.travel / full_speed(self.travel), self.turn / self.full_turn]
        return np.concatenate(parts, axis=1)

    @property
    def full_turn(self) -> float:
        """The turning that counts as full speed: where units are known, not less than moves the hand as fast
        as it travels, so that the small corrections of every motion count little."""
        own = full_speed(self.turn)
        return max(own, full_speed(self.travel) / HAND) if self.metric else own

    @property
    def grip_changes(self) -> np.ndarray:
        """How much the gripper command changed from the step before, in parts of its range, float64 [T]."""
        if self.closing is None:
            return np.zeros(len(self))
        return np.abs(np.diff(self.closing, prepend=self.closing[:1]))


def full_speed(rates: Float64[np.ndarray, "time k"]) -> float:
    """The speed an episode reaches when it moves in earnest; above 0."""
    speed = np.linalg.norm(rates, axis=1)
    return max(float(np.percentile(speed, TYPICAL)), SMALL) if speed.size and rates.shape[1] else 1.0


def motion_of(episode: Episode) -> Motion:
    """The motion of an episode. Targets become the differences between them."""
    spec = episode.robot.action
    action = np.asarray(episode.action, np.float64)
    position, rotation, gripper = (_indices(spec, q) for q in ("position", "rotation", "gripper"))
    moving = position or _indices(spec, "joint") or _indices(spec, "base")
    moving = moving or tuple(i for i in range(spec.dim) if i not in rotation + gripper)
    return Motion(
        travel=_rates(action, moving, spec.dims),
        turn=_rates(action, rotation, spec.dims),
        closing=_closing(action[:, gripper[0]], spec.dims[gripper[0]], spec) if gripper else None,
        frame=spec.dims[moving[0]].frame if moving else "none",
        metric={spec.dims[i].unit for i in moving} == {"m"}
        and {spec.dims[i].unit for i in rotation} <= {"rad"},
        axes=_axes([spec.dims[i].name for i in position]),
    )


def _indices(spec: ActionSpec, quantity: str) -> tuple[int, ...]:
    return tuple(i for i, d in enumerate(spec.dims) if d.quantity == quantity)


def _rates(action: np.ndarray, which: Sequence[int], dims: Sequence[ActionDim]) -> np.ndarray:
    """What each step asks for: a delta or velocity as it is, a target as the way there from the last one."""
    columns = [
        (np.diff(action[:, i], append=action[-1:, i]) if dims[i].mode == "absolute" else action[:, i])
        * dims[i].scale
        for i in which
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(action), 0))


def _closing(command: np.ndarray, dim: ActionDim, spec: ActionSpec) -> np.ndarray | None:
    """0 open … 1 closed. A relative command opens or closes until the next one says otherwise."""
    if spec.gripper_closes is None:
        return None
    if dim.mode == "absolute":
        share = np.clip((command - dim.low) / max(dim.high - dim.low, SMALL), 0.0, 1.0)
        return share if spec.gripper_closes == 1 else 1.0 - share
    asked = np.abs(command) > RELATIVE_COMMAND * max(dim.high - dim.low, SMALL) / 2
    last = np.maximum.accumulate(np.where(asked, np.arange(len(command)), -1))
    return np.where(last < 0, False, command[last] * spec.gripper_closes > 0).astype(np.float64)


def _axes(names: Sequence[str]) -> tuple[int, ...]:
    """Which axis each name ends in; empty unless every name tells."""
    ends = ["xyz".find(name[-1:].lower()) if name else -1 for name in names]
    return tuple(ends) if names and min(ends) >= 0 and len(set(ends)) == len(ends) else ()
