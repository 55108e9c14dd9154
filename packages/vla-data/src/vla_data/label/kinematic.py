"""Sub-steps from motion alone: where the gripper acts, the motion turns, or the hand slows down.

A person who divides a demonstration cuts where its aim changes. An arm that has a new aim commands another
motion from one instant to the next, while on its way to one aim its commands change little by little; so the
first cue is a jump of the mean command over a short window before to that after (two-window change-point
detection). Gripper events are cuts of their own. A dip of the speed between two movements (Fod, Matarić and
Jenkins 2002, zero-velocity segmentation) catches what people do: slow down, then go on elsewhere.

Each cue gives every step a score in parts of its threshold. Cuts are the highest scores of at least 1 that
lie `min_steps` apart. Thresholds are in parts of an episode's own full speed, so that they carry over to
other robots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vla_data.errors import ConfigError
from vla_data.label.motion import Motion, full_speed

EVEN = 1e-12


@dataclass(frozen=True)
class KinematicConfig:
    """When motion counts as changed.

    Args:
        window: steps before and after that a change is looked for in.
        change: jump of the mean command, in parts of full speed.
        gripper: change of the gripper command from one step to the next, in parts of its range.
        dip: a slowest instant counts when slower than this part of the speed reached on both sides; 0: never.
        dip_window: how many steps to either side that speed is looked for.
        min_steps: no sub-step is shorter.
    """

    window: int = 3
    change: float = 0.3
    gripper: float = 0.2
    dip: float = 0.3
    dip_window: int = 8
    min_steps: int = 5

    def __post_init__(self) -> None:
        if min(self.window, self.dip_window, self.min_steps) < 1 or min(self.change, self.gripper) <= 0:
            raise ConfigError(
                "a labeller cannot look for changes like this",
                where="KinematicConfig",
                expected="windows and min_steps of at least 1, thresholds above 0",
                got=str(self),
            )


def kinematic_cuts(motion: Motion, config: KinematicConfig) -> list[int]:
    """Where sub-steps begin, without 0, in order."""
    score = np.maximum(
        window_jumps(motion.features, config.window) / config.change, motion.grip_changes / config.gripper
    )
    if config.dip > 0:
        score = np.maximum(score, _dips(motion, config))
    return pick_cuts(score, config.min_steps)


def gripper_cuts(motion: Motion, config: KinematicConfig) -> list[int]:
    """Where the gripper acts, and nothing else."""
    return pick_cuts(motion.grip_changes / config.gripper, config.min_steps)


def window_jumps(features: Float64[np.ndarray, "time features"], window: int) -> Float64[np.ndarray, "time"]:
    """How far the mean over [t, t + window) lies from that over [t − window, t), float64 [T]; 0 at t = 0."""
    steps = len(features)
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)])
    at = np.arange(1, steps)
    first, last = np.maximum(0, at - window), np.minimum(steps, at + window)
    after = (sums[last] - sums[at]) / (last - at)[:, None]
    before = (sums[at] - sums[first]) / (at - first)[:, None]
    return np.concatenate([np.zeros(min(1, steps)), np.linalg.norm(after - before, axis=1)])


def pick_cuts(score: Float64[np.ndarray, "time"], min_steps: int) -> list[int]:
    """Steps with a score of at least 1, highest first, none within `min_steps` of another or of an end."""
    steps, kept = len(score), list[int]()
    for cut in sorted(np.flatnonzero(score >= 1).tolist(), key=lambda t: (-score[t], t)):
        inside = min_steps <= cut <= steps - min_steps
        if inside and all(abs(cut - other) >= min_steps for other in kept):
            kept.append(cut)
    return sorted(kept)


def _dips(motion: Motion, config: KinematicConfig) -> np.ndarray:
    """Scores of the slowest instants: how far below the allowed part of the speed around them, at most 2."""
    speed = np.linalg.norm(motion.travel, axis=1) / full_speed(motion.travel)
    padded = np.pad(speed, 1, mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    score = np.zeros(len(speed))
    for t in range(1, len(speed) - 1):
        if smooth[t] <= smooth[t - 1] and smooth[t] < smooth[t + 1]:
            around = min(
                smooth[max(0, t - config.dip_window) : t].max(),
                smooth[t + 1 : t + 1 + config.dip_window].max(),
            )
            score[t] = min(2.0, config.dip * around / max(smooth[t], EVEN))
    return score
