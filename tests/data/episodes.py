"""Small made-up episodes and data sets for the tests of formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.types import (
    ActionDim,
    ActionSpec,
    ArrayImages,
    Camera,
    Episode,
    RobotSpec,
    StateDim,
    SubStep,
)

GRIPPER = ActionDim("gripper", "gripper", "absolute", "none")
ACTION = ActionSpec(
    (*(ActionDim(a, "position", "delta", "base", "m", 0.05) for a in "xyz"), GRIPPER), 10.0, gripper_closes=1
)
ROBOT = RobotSpec("arm", ACTION, tuple(StateDim(f"s{i}", "rad") for i in range(5)))
CAMERAS = {
    "front": Camera("front", 32, 24, intrinsics=((40.0, 0.0, 16.0), (0.0, 40.0, 12.0), (0.0, 0.0, 1.0))),
    "wrist": Camera("wrist", 16, 16),
}


def make_episode(seed: int = 0, steps: int = 5, **changes: object) -> Episode:
    """An episode with something in every field; `changes` replace fields."""
    rng = np.random.default_rng(seed)
    frames = {
        name: ArrayImages(rng.integers(0, 256, (steps, c.height, c.width, 3), np.uint8))
        for name, c in CAMERAS.items()
    }
    episode = Episode(
        id=f"episode-{seed}",
        robot=ROBOT,
        action=rng.normal(size=(steps, 4)).astype(np.float32),
        state=rng.normal(size=(steps, 5)).astype(np.float32),
        time=np.arange(steps) / 10 + 1 / 3,
        images=frames,
        instruction=f"Schließe die Tür {seed}",
        paraphrases=tuple(f"wording {i}" for i in range(seed % 3)),
        depth={"front": rng.uniform(0, 3, (steps, 24, 32)).astype(np.float32)},
        substeps=(SubStep(0, 1, "reach"), SubStep(1, steps, "close"))[: seed % 3],
        cameras=CAMERAS,
        series={
            "reward": rng.normal(size=steps).astype(np.float32),
            "phase": rng.integers(-5, 500, steps),
            "touching": rng.integers(0, 2, steps).astype(bool),
            "pose/wrist": rng.normal(size=(steps, 4, 4)),
        },
        metadata={"task": "close", "seed": seed, "success": seed % 2 == 0, "noise": 0.1},
    )
    return replace(episode, **changes)  # type: ignore[arg-type]


def write_dataset(directory: Path, episodes: list[Episode], shards: int = 1, **options: object) -> Path:
    """A whole data set of these episodes, dealt to `shards` in turn; its directory."""
    splits = {"split": options.pop("split", "train")}
    for i in range(shards):
        with RldsWriter(directory, "made_up", ROBOT, CAMERAS, shard=(i, shards), **splits, **options) as w:  # type: ignore[arg-type]
            for episode in episodes[i::shards]:
                w.write(episode)
    finish_dataset(directory)
    return directory


def assert_same(got: Episode, expected: Episode, *, pixels: bool = True) -> None:
    """Every field equal, arrays bit for bit and of the same dtype."""
    for name in ("id", "robot", "instruction", "paraphrases", "substeps", "cameras", "metadata"):
        assert getattr(got, name) == getattr(expected, name), name
    for name in ("action", "state", "time"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), name, strict=True)
    for group in ("depth", "series"):
        ours, theirs = getattr(got, group), getattr(expected, group)
        assert sorted(ours) == sorted(theirs), group
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], f"{group}/{key}", strict=True)
    assert sorted(got.images) == sorted(expected.images)
    for camera, frames in expected.images.items():
        assert len(got.images[camera]) == len(frames)
        if pixels:
            for i in range(len(frames)):
                np.testing.assert_array_equal(got.images[camera][i], frames[i], f"{camera} {i}", strict=True)
