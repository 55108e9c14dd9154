"""Frames of foreign data sets that need more than decoding: swapped colours, depth in any storage."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError
from vla_data.images import MAX_PIXELS, Encoded, size
from vla_data.types import Image, ImageSequence

PNG_DEPTHS = {"L", "I;16", "I;16B", "I", "RGBA"}  # Pillow's names; RGBA is the four bytes of a float32


@dataclass(frozen=True, eq=False)
class SwappedImages:
    """An `ImageSequence` whose frames are stored with red and blue swapped; it gives RGB."""

    frames: ImageSequence

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Image:
        return np.ascontiguousarray(self.frames[index][..., ::-1])


@dataclass(frozen=True, eq=False)
class DepthFrames:
    """Depth in metres, one frame float32 [height, width] at a time; behaves like an array [T, height, width].

    Args:
        frames: one encoded picture per step, or an array [T, height, width] or [T, height, width, 1].
        metres: what one stored unit is.
        size: (height, width) of each.
        where: how errors name the sequence.
    """

    frames: Sequence[Encoded] | np.ndarray
    metres: float
    size: tuple[int, int]
    where: str = "depth"

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.frames), *self.size

    @property
    def ndim(self) -> int:
        return 3

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: Any) -> np.ndarray:
        """A frame, float32 [height, width]; several for anything but a number, as arrays do.

        Raises:
            DataError: a picture is damaged, of another size, or holds no depth.
        """
        if not isinstance(index, (int, np.integer)):
            return np.stack([self[i] for i in np.arange(len(self))[index]])
        stored = self.frames[int(index)]
        if not isinstance(stored, np.ndarray):
            stored = decode_depth(stored, f"{self.where}, frame {index}", self.size)
        return stored.reshape(self.size).astype(np.float32) * np.float32(self.metres)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = np.stack(list(self)) if len(self) else np.zeros(self.shape, np.float32)
        return found if dtype is None else found.astype(dtype)

    def __reduce__(self):  # slices of a record cannot be pickled
        arrays = isinstance(self.frames, np.ndarray)
        frames = self.frames if arrays else [bytes(f) for f in self.frames]
        return DepthFrames, (frames, self.metres, self.size, self.where)


def decode_depth(
    data: Encoded, where: str = "depth", shape: tuple[int, int] | None = None
) -> Float32[np.ndarray, "height width"]:
    """Stored units of a depth picture: a grey PNG of 8 or 16 bits, a grey JPEG, or float32 as an RGBA PNG.

    TFDS writes a float32 image as a PNG whose four channels are the four bytes of each number.

    Raises:
        DataError: the picture is damaged, too large, of another size, or has colours.
    """
    found = size(data, where)
    if found != shape and (shape is not None or found[0] * found[1] > MAX_PIXELS):
        expected = f"{shape[0]}×{shape[1]} (height × width)" if shape else f"at most {MAX_PIXELS:,} pixels"
        raise DataError("a depth frame of another size", where=where, expected=expected, got=f"{found}")
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            mode, values = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError("a depth frame cannot be decoded", where=where, got=str(error)) from error
    if mode not in PNG_DEPTHS:
        raise DataError("a depth frame has colours", where=where, expected="one channel", got=mode)
    if mode == "RGBA":
        return np.ascontiguousarray(values).view("<f4")[..., 0].astype(np.float32)
    return values.astype(np.float32)
