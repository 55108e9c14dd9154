"""Made-up sources of a mixture, whose every number says where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tests.data.episodes import ACTION

from vla_data.errors import DataError
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.images import EncodedImages, ImageEncoding, encode
from vla_data.mixture import DatasetShare, Mixture, MixtureConfig, WindowConfig
from vla_data.types import ActionDim, ActionSpec, ArrayImages, Camera, Episode, RobotSpec, StateDim

ROBOT = RobotSpec("arm", ACTION, (StateDim("a", "rad"), StateDim("b", "rad")))
# Shares its first action dimension and two of its states with `ROBOT`.
OTHER = RobotSpec(
    "legs",
    ActionSpec((ACTION.dims[0], ActionDim("knee", "joint", "absolute", "joint", "rad")), ACTION.control_hz),
    (StateDim("b", "rad"), StateDim("c", "m"), StateDim("a", "rad")),
)
SIZES = {"primary": (12, 16), "wrist": (8, 8)}


def numbered(
    index: int, steps: int, robot: RobotSpec = ROBOT, cameras: Sequence[str] = ("primary", "wrist")
) -> Episode:
    """An episode whose numbers are 1000 × its index + the step, and whose frames show both."""
    column = (1000 * index + np.arange(steps, dtype=np.float32))[:, None]
    images = {}
    for role in cameras:
        frames = np.zeros((steps, *SIZES[role], 3), np.uint8)
        frames[..., 0], frames[..., 1] = index % 256, 1 + np.arange(steps).reshape(-1, 1, 1) % 255
        images[role] = ArrayImages(frames)
    return Episode(
        id=f"e{index}",
        robot=robot,
        action=np.repeat(column, robot.action.dim, axis=1),
        state=np.repeat(column, len(robot.state), axis=1),
        time=np.arange(steps) / 10.0,
        images=images,
        instruction=f"do {index}",
        paraphrases=(f"please do {index}", f"now do {index}"),
    )


@dataclass(frozen=True)
class Numbered:
    """An `EpisodeSource` of numbered episodes; those in `damaged` cannot be read."""

    name: str
    lengths: tuple[int, ...]
    robot: RobotSpec = ROBOT
    cameras: tuple[str, ...] = ("primary", "wrist")
    damaged: frozenset[int] = frozenset()
    rate_assumed: bool = False
    changes: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Episode:
        if index in self.damaged:
            raise DataError("a record is damaged", where=f"{self.name} {index}")
        episode = numbered(index, self.lengths[index], self.robot, self.cameras)
        return replace(episode, **self.changes)  # type: ignore[arg-type]


def lengths(seed: int, count: int, low: int = 2, high: int = 12) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(low, high, count).tolist())


def mix(*sources: Numbered, weights: Sequence[float] = (), **options: object) -> Mixture:
    """A mixture of sources; `options` are those of its config, or of its window."""
    given = weights or [1.0] * len(sources)
    window = {k: options.pop(k) for k in list(options) if k in WindowConfig.__dataclass_fields__}
    window = {"cameras": ("primary", "wrist"), "action_horizon": 3} | window
    shares = tuple(DatasetShare(s.name, w, skip=bool(s.damaged)) for s, w in zip(sources, given, strict=True))
    config = MixtureConfig(shares, WindowConfig(**window), **options)  # type: ignore[arg-type]
    return Mixture(config, sources)


def write_numbered(
    directory: Path, name: str, steps: Sequence[int], encoding: ImageEncoding = "jpeg"
) -> Path:
    """Numbered episodes as an RLDS data set of two shards."""
    cameras = {role: Camera(role, width, height) for role, (height, width) in SIZES.items()}
    for shard in range(2):
        with RldsWriter(
            directory / name, name, ROBOT, cameras, shard=(shard, 2), image_encoding=encoding
        ) as writer:
            for i in range(shard, len(steps), 2):
                episode = numbered(i, steps[i])
                frames = {
                    role: EncodedImages([encode(f, encoding) for f in images.frames])
                    for role, images in episode.images.items()
                    if isinstance(images, ArrayImages)
                }
                writer.write(replace(episode, images=frames))
    finish_dataset(directory / name)
    return directory / name
