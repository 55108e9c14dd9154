"""vla-data[rlds]: a data set written and read again, without TensorFlow and without torch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from _wheel import check_absent, check_wheel

import vla_data
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.types import ActionDim, ActionSpec, ArrayImages, Camera, Episode, RobotSpec, StateDim

check_wheel("vla-data")
check_absent("torch", "tensorflow", "mujoco", "vla_ts", "vla_vision", "vla_model", "vla_cli")

rng = np.random.default_rng(0)
action = ActionSpec(tuple(ActionDim(n, "position", "delta", "world") for n in "xy"), 10.0)
robot = RobotSpec("arm", action, (StateDim("x", "m"),))
frames = rng.integers(0, 256, (5, 16, 24, 3)).astype(np.uint8)
episode = Episode(
    id="0",
    robot=robot,
    action=rng.uniform(-1, 1, (5, 2)).astype(np.float32),
    state=rng.normal(size=(5, 1)).astype(np.float32),
    time=np.arange(5) / 10,
    images={"front": ArrayImages(frames)},
    instruction="reach the red ball",
)
with tempfile.TemporaryDirectory() as folder:
    directory = Path(folder) / "toy" / "1.0.0"
    with RldsWriter(directory, "toy", robot, {"front": Camera("front", 24, 16)}) as writer:
        writer.write(episode)
    finish_dataset(directory)
    (read,) = vla_data.open_episodes(directory)
    assert read.instruction == episode.instruction
    np.testing.assert_array_equal(read.action, episode.action)
    np.testing.assert_array_equal(np.stack([read.images["front"][i] for i in range(5)]), frames)
