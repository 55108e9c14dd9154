"""Made-up labelled episodes: coloured blocks that move evenly in front of a camera, everything known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.data.episodes import ROBOT

from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.objects import MASKS, NAMES, POSITION, VELOCITY, ObjectName, mask_series, names_text
from vla_data.types import ArrayImages, Camera, Episode

HEIGHT, WIDTH, ROWS, FAR, FOCAL = 48, 64, 4, 2.0, 60.0
COLOURS = {"mug": (220, 40, 40), "block": (40, 220, 40), "gripper": (60, 60, 240)}
# Looks along the world's y axis from above the origin: x right, y down is −z, z forward is y.
POSE = ((1.0, 0.0, 0.0, 0.5), (0.0, 0.0, 1.0, -1.0), (0.0, -1.0, 0.0, 0.3), (0.0, 0.0, 0.0, 1.0))
INTRINSICS = ((FOCAL, 0.0, (WIDTH - 1) / 2), (0.0, FOCAL, (HEIGHT - 1) / 2), (0.0, 0.0, 1.0))
CAMERAS = {name: Camera(name, WIDTH, HEIGHT, INTRINSICS, POSE) for name in ("front", "side/left")}


@dataclass(frozen=True)
class Block:
    """A block: its upper left corner at the first step, pixels it moves a step, its size, when hidden."""

    kind: str
    start: tuple[float, float]
    speed: tuple[float, float]
    size: tuple[int, int] = (12, 10)
    hidden: tuple[int, int] = (0, 0)


BLOCKS = (
    Block("gripper", (2, 4), (1.0, 0.5)),
    Block("mug", (44, 30), (-1.0, 0.0)),
    Block("block", (30, 2), (0.0, 0.0), size=(2, 2)),
)


def labelled_episode(
    seed: int = 0, steps: int = 24, blocks: Sequence[Block] = BLOCKS, camera: str = "front"
) -> Episode:
    """Blocks over noise, at `FAR` metres; later ones hide earlier ones."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 120, (steps, HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((steps, HEIGHT, WIDTH), np.uint8)
    places, speeds = np.zeros((2, steps, ROWS, 3), np.float32)
    turn, middle = np.array(POSE)[:3, :3], np.array(POSE)[:3, 3]
    for row, block in enumerate(blocks):
        for step in range(steps):
            x, y = np.array(block.start) + step * np.array(block.speed)
            centre = np.array([x + block.size[0] / 2 - 0.5, y + block.size[1] / 2 - 0.5])
            ray = (centre - [INTRINSICS[0][2], INTRINSICS[1][2]]) / FOCAL
            places[step, row] = turn @ (FAR * np.array([*ray, 1.0])) + middle
            moving = FAR / FOCAL * np.array([*block.speed, 0.0])
            speeds[step, row] = turn @ moving * ROBOT.action.control_hz
            if not block.hidden[0] <= step < block.hidden[1]:
                area = slice(round(y), round(y) + block.size[1]), slice(round(x), round(x) + block.size[0])
                masks[step][area], images[step][area] = row + 1, COLOURS[block.kind]
    names = [ObjectName(f"{b.kind} {i}", b.kind) for i, b in enumerate(blocks)]
    series = {POSITION: places, VELOCITY: speeds, MASKS + camera: masks, **mask_series(masks, ROWS, camera)}
    return Episode(
        id=f"blocks-{seed}",
        robot=ROBOT,
        action=np.zeros((steps, 4), np.float32),
        state=np.zeros((steps, 5), np.float32),
        time=np.arange(steps) / ROBOT.action.control_hz,
        images={camera: ArrayImages(images)},
        cameras={camera: CAMERAS[camera]},
        series=series,
        metadata={"task": "blocks", "seed": seed, "success": True, NAMES: names_text(names)},
    )


@dataclass(frozen=True)
class Source:
    """An `EpisodeSource` over episodes in memory."""

    episodes: tuple[Episode, ...]
    name: str = "made up"
    robot = ROBOT

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Episode:
        return self.episodes[index]


def write_labelled(directory: Path, episodes: Sequence[Episode]) -> Path:
    """A data set of these episodes; its directory."""
    with RldsWriter(directory, "blocks", ROBOT, dict(episodes[0].cameras)) as writer:
        for episode in episodes:
            writer.write(episode)
    finish_dataset(directory)
    return directory
