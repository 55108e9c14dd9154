"""The side of a conversion that reads: which episodes, and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vla_data.conversion.config import ConvertConfig, Images
from vla_data.errors import DataError
from vla_data.formats.describe import DescribedReader
from vla_data.images import EncodedImages, ImageEncoding, size, sniff
from vla_data.types import Episode, RobotSpec
from vla_data.usable import Requirements, Skipped, usable_episodes

REQUIRED = Requirements(min_steps=1)


@dataclass(frozen=True)
class Written:
    """A split as it was written: its source, the episodes taken from it in order, and what was left out."""

    split: str
    source: DescribedReader
    indices: tuple[int, ...]
    steps: int
    skipped: tuple[Skipped, ...]


def episodes_to_write(
    reader: DescribedReader, indices: range, config: ConvertConfig, skipped: list[Skipped]
) -> Iterator[tuple[int, Episode]]:
    """The episodes of a stretch that can be used, images and all, with their index in the reader."""
    part = _Part(reader, indices)
    left_out: list[Skipped] = []
    for i, episode in usable_episodes(
        part, REQUIRED, images=True, skip_corrupt=config.skip_corrupt, skipped=left_out
    ):
        skipped += [replace(s, index=indices[s.index]) for s in left_out]
        left_out.clear()
        yield indices[i], episode
    skipped += [replace(s, index=indices[s.index]) for s in left_out]


@dataclass(frozen=True)
class _Part:
    """A stretch of a reader as a source of its own; its frames are of the size their cameras say."""

    reader: DescribedReader
    indices: range

    @property
    def name(self) -> str:
        return self.reader.name

    @property
    def robot(self) -> RobotSpec:
        return self.reader.robot

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Episode:
        episode = self.reader[self.indices[index]]
        for name, frames in episode.images.items():
            if isinstance(frames, EncodedImages):
                camera = self.reader.cameras[name]
                _require_size(frames, (camera.height, camera.width))
        return episode


def _require_size(frames: EncodedImages, expected: tuple[int, int]) -> None:
    """Look at each header: frames that are passed on are not decoded."""
    for i, frame in enumerate(frames.frames):
        where = f"{frames.where}, frame {i}"
        found = size(frame, where)
        if found != expected:
            raise DataError(
                "a frame of another size than its camera",
                where=where,
                expected=f"{expected[0]}×{expected[1]} (height × width)",
                got=f"{found[0]}×{found[1]}",
            )


def frame_encoding(reader: DescribedReader, images: Images) -> ImageEncoding:
    """The one encoding of an RLDS data set: JPEG when that is asked for, or when all of the source is."""
    if images != "keep":
        return "jpeg" if images == "jpeg" else "png"
    pictures = list(reader[0].images.values()) if len(reader) else []
    jpeg = [isinstance(p, EncodedImages) and len(p) > 0 and sniff(p.frames[0]) == "jpeg" for p in pictures]
    return "jpeg" if jpeg and all(jpeg) else "png"


def take(reader: DescribedReader, config: ConvertConfig) -> range:
    """The episodes of a split that are asked for."""
    return range(len(reader) if config.episodes is None else min(config.episodes, len(reader)))


def spread(indices: Sequence[int], size: int) -> list[range]:
    """Stretches of at most `size`, in order."""
    return [range(i, min(i + size, len(indices))) for i in range(0, len(indices), size)]
