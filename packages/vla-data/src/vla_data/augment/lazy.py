"""Frames that are changed when they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vla_data.images import EncodedImages
from vla_data.types import ArrayImages, Image, ImageSequence

FrameChange = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class ChangedImages:
    """An `ImageSequence` whose frames go through `change(frame, index)` when indexed, and are not kept."""

    frames: ImageSequence
    change: FrameChange

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Image:
        at = range(len(self))[index]
        return self.change(self.frames[at], at)


@dataclass(frozen=True, eq=False)
class ImageSlice:
    """Frames [start, start + length) of a sequence."""

    frames: ImageSequence
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Image:
        return self.frames[self.start + range(self.length)[index]]


def slice_images(frames: ImageSequence, start: int, length: int) -> ImageSequence:
    """Frames [start, start + length); those that are encoded stay so, and can be copied as they are."""
    if isinstance(frames, EncodedImages):
        return replace(frames, frames=frames.frames[start : start + length])
    if isinstance(frames, ArrayImages):
        return ArrayImages(frames.frames[start : start + length])
    return ImageSlice(frames, start, length)
