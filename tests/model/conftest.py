"""A small source of episodes whose actions can be read off the pixels and the words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vla_data.types import ActionDim, ActionSpec, ArrayImages, Episode, RobotSpec, StateDim

SPEC = ActionSpec(
    (
        *(ActionDim(n, "position", "delta", "world", "m", 0.01) for n in ("x", "y", "z")),
        ActionDim("gripper", "gripper", "absolute", "gripper"),
    ),
    control_hz=80.0,
    gripper_closes=1,
)
ROBOT = RobotSpec("test-arm", SPEC, (StateDim("x", "m"), StateDim("y", "m"), StateDim("z", "m")))
SAID = {"left": ("go left", "move to the left"), "right": ("go right", "move to the right")}


@dataclass(frozen=True)
class ToySource:
    """Episodes of a constant action: sign of x from the words, size of y from the brightness."""

    episodes: int = 6
    length: int = 20
    size: int = 32
    name: str = "toy"
    robot: RobotSpec = ROBOT

    def __len__(self) -> int:
        return self.episodes

    def __getitem__(self, index: int) -> Episode:
        rng = np.random.default_rng(index)
        side = ("left", "right")[index % 2]
        level = int(rng.integers(20, 236))
        frames = rng.integers(0, 20, (self.length, self.size, self.size, 3)).astype(np.uint8) + np.uint8(
            level
        )
        action = np.zeros((self.length, 4), np.float32)
        action[:, 0] = -0.5 if side == "left" else 0.5
        action[:, 1] = level / 255
        action[:, 3] = np.where(np.arange(self.length) < self.length // 2, -1, 1)
        return Episode(
            id=str(index),
            robot=self.robot,
            action=action,
            state=rng.normal(size=(self.length, 3)).astype(np.float32),
            time=np.arange(self.length) / SPEC.control_hz,
            images={"front": ArrayImages(frames), "wrist": ArrayImages(frames)},
            instruction=SAID[side][0],
            paraphrases=SAID[side][1:],
        )


@pytest.fixture
def toy_source() -> ToySource:
    return ToySource()
