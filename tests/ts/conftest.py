"""Demonstrations like those of scripted experts: saturating proportional control, a gripper that switches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vla_data.types import ActionDim, ActionSpec, Episode, RobotSpec, StateDim

DIMS = tuple(ActionDim(axis, "position", "delta", "world", "m", 0.01) for axis in "xyz")
SPEC = ActionSpec((*DIMS, ActionDim("gripper", "gripper", "absolute", "none")), 80.0, gripper_closes=1)
ROBOT = RobotSpec("arm", SPEC, (StateDim("x", "m"),))


@dataclass(frozen=True)
class Reaching:
    """An `EpisodeSource` without images: go above a point, down, close, away."""

    count: int = 24
    name: str = "reaching"
    robot: RobotSpec = ROBOT

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Episode:
        action = reach(np.random.default_rng(index))
        count = len(action)
        return Episode(
            str(index), self.robot, action, np.zeros((count, 1), np.float32), np.arange(count) / 80.0
        )


def reach(rng: np.random.Generator) -> np.ndarray:
    """Actions float32 [T, 4] of one demonstration."""
    hand, target = rng.uniform(-0.2, 0.2, 3), rng.uniform(-0.2, 0.2, 3)
    goals = [
        (target + np.array([0, 0, 0.1]), -1.0),
        (target, -1.0),
        (target, 1.0),
        (rng.uniform(-0.2, 0.2, 3), 1.0),
    ]
    actions = []
    for goal, gripper in goals:
        for _ in range(int(rng.integers(12, 24))):
            move = np.clip(10 * (goal - hand), -1, 1)
            hand = hand + 0.02 * move + rng.normal(0, 0.001, 3)
            actions.append([*move, gripper])
    return np.array(actions, np.float32)


@pytest.fixture(scope="session")
def reaching() -> Reaching:
    return Reaching()
