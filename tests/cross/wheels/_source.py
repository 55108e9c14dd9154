"""A few small episodes in memory, for the wheels that learn from some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_data.types import ActionDim, ActionSpec, ArrayImages, Episode, RobotSpec, StateDim

DIMS = tuple(ActionDim(name, "position", "delta", "world", "m") for name in "xyz")
ROBOT = RobotSpec("pen", ActionSpec(DIMS, control_hz=10.0), (StateDim("x", "m"),))


@dataclass(frozen=True)
class Circles:
    """An `EpisodeSource` of smooth actions."""

    name: str = "circles"
    robot: RobotSpec = ROBOT
    steps: int = 40

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Episode:
        phase = np.linspace(0, 2 * np.pi, self.steps) + index
        rng = np.random.default_rng(index)
        return Episode(
            id=str(index),
            robot=self.robot,
            action=np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase)], axis=1).astype(np.float32),
            state=rng.normal(size=(self.steps, 1)).astype(np.float32),
            time=np.arange(self.steps) / self.robot.action.control_hz,
            images={"front": ArrayImages(rng.integers(0, 256, (self.steps, 32, 32, 3)).astype(np.uint8))},
            instruction="draw a circle",
        )
