"""Image codecs: encoded bytes to uint8 [height, width, 3] and back.

JPEG decodes bit for bit as TensorFlow's default does (simplejpeg with its fast DCT; other decoders differ
by a level here and there). PNG is lossless, so any decoder agrees.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from vla_data.errors import DataError
from vla_data.registry import lookup
from vla_data.types import Image

ImageEncoding = Literal["png", "jpeg"]
Encoded = bytes | memoryview
JPEG_QUALITY = 95
MAX_PIXELS = 1 << 26  # 8192 × 8192: larger than any camera of a robot
PNG_LEVEL = 3  # generating renders a frame a step: speed matters more than the last bytes

_MAGIC: dict[bytes, ImageEncoding] = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}


def sniff(data: Encoded) -> ImageEncoding | None:
    """The encoding by its first bytes; None when it is neither PNG nor JPEG."""
    head = bytes(data[:4])
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def decode(data: Encoded, where: str = "image", shape: tuple[int, int] | None = None) -> Image:
    """Decode a PNG or JPEG, whichever it is, to RGB.

    The header is looked at first: a few bytes can claim a picture of many gigabytes.

    Args:
        shape: (height, width) it must have; None accepts any up to `MAX_PIXELS`.

    Raises:
        DataError: it is neither, is damaged, or is of another size or too large.
    """
    kind = sniff(data)
    if kind is None:
        raise _no_image(data, where)
    try:
        found = _SIZES[kind](data)
        if found == shape or (shape is None and found[0] * found[1] <= MAX_PIXELS):
            return _DECODERS[kind](data)
    except (ValueError, RuntimeError, OSError) as error:
        raise _damaged(kind, data, where, error) from error
    raise _other_size(found, shape, where)


def encode(image: Image, encoding: str, *, quality: int = JPEG_QUALITY) -> bytes:
    """Encode RGB; `quality` is for JPEG, PNG loses nothing.

    Raises:
        UnknownNameError: the encoding is neither "png" nor "jpeg".
    """
    return lookup("image encoding", _ENCODERS, encoding)(np.ascontiguousarray(image), quality)


def size(data: Encoded, where: str = "image") -> tuple[int, int]:
    """(height, width) of an encoded image, from its header alone.

    Raises:
        DataError: it is neither PNG nor JPEG, or its header is damaged.
    """
    kind = sniff(data)
    if kind is None:
        raise _no_image(data, where)
    try:
        return _SIZES[kind](data)
    except ValueError as error:
        raise _damaged(kind, data, where, error) from error


def _no_image(data: Encoded, where: str) -> DataError:
    return DataError(
        "an image is neither PNG nor JPEG", where=where, got=f"first bytes {bytes(data[:8]).hex(' ')}"
    )


def _damaged(kind: str, data: Encoded, where: str, error: Exception) -> DataError:
    return DataError(
        f"a {kind} image cannot be decoded",
        where=where,
        expected="a whole image",
        got=f"{error} ({len(data)} bytes)",
        next_step="fetch or generate the file again",
    )


def _other_size(found: tuple[int, int], shape: tuple[int, int] | None, where: str) -> DataError:
    height, width = found
    if shape is None:
        return DataError(
            "an image is too large to be one of a camera",
            where=where,
            expected=f"at most {MAX_PIXELS:,} pixels",
            got=f"{height}×{width} (height × width)",
        )
    return DataError(
        "a frame of another size than its camera",
        where=where,
        expected=f"{shape[0]}×{shape[1]} (height × width)",
        got=f"{height}×{width}",
    )


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """An `ImageSequence` over encoded frames, decoded when indexed and not kept.

    Args:
        frames: one PNG or JPEG per step, perhaps slices of a larger record, which they keep alive.
        where: how errors name the sequence.
        shape: (height, width) that every frame must have; None accepts any.
    """

    frames: Sequence[Encoded]
    where: str = "images"
    shape: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Image:
        return decode(self.frames[index], f"{self.where}, frame {index}", self.shape)

    def __reduce__(self):  # slices of a record cannot be pickled
        return EncodedImages, ([bytes(f) for f in self.frames], self.where, self.shape)


def _jpeg_size(data: Encoded) -> tuple[int, int]:
    import simplejpeg

    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return int(height), int(width)


def _png_size(data: Encoded) -> tuple[int, int]:
    if len(data) < 24:
        raise ValueError("it ends inside its header")
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")


def _decode_jpeg(data: Encoded) -> Image:
    import simplejpeg

    return simplejpeg.decode_jpeg(data, "RGB", fastdct=True)


def _decode_png(data: Encoded) -> Image:
    import pyspng

    return pyspng.load(bytes(data), format="RGB")


def _encode_jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    import simplejpeg

    return simplejpeg.encode_jpeg(image, quality=quality)


def _encode_png(image: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


_ENCODERS: dict[str, Callable[[np.ndarray, int], bytes]] = {"png": _encode_png, "jpeg": _encode_jpeg}
_DECODERS: dict[str, Callable[[Encoded], Image]] = {"png": _decode_png, "jpeg": _decode_jpeg}
_SIZES: dict[str, Callable[[Encoded], tuple[int, int]]] = {"png": _png_size, "jpeg": _jpeg_size}
