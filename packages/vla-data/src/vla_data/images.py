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
PNG_LEVEL = 3  # generating renders a frame a step: speed matters more than the last bytes

_MAGIC: dict[bytes, ImageEncoding] = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}


def sniff(data: Encoded) -> ImageEncoding | None:
    """The encoding by its first bytes; None when it is neither PNG nor JPEG."""
    head = bytes(data[:4])
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def decode(data: Encoded, where: str = "image") -> Image:
    """Decode a PNG or JPEG, whichever it is, to RGB.

    Raises:
        DataError: it is neither, or it is damaged.
    """
    kind = sniff(data)
    if kind is None:
        raise DataError(
            "an image is neither PNG nor JPEG", where=where, got=f"first bytes {bytes(data[:8]).hex(' ')}"
        )
    try:
        return _decode_jpeg(data) if kind == "jpeg" else _decode_png(data)
    except (ValueError, RuntimeError, OSError) as error:
        raise DataError(
            f"a {kind} image cannot be decoded",
            where=where,
            expected="a whole image",
            got=f"{error} ({len(data)} bytes)",
            next_step="fetch or generate the file again",
        ) from error


def encode(image: Image, encoding: str, *, quality: int = JPEG_QUALITY) -> bytes:
    """Encode RGB; `quality` is for JPEG, PNG loses nothing.

    Raises:
        UnknownNameError: the encoding is neither "png" nor "jpeg".
    """
    return lookup("image encoding", _ENCODERS, encoding)(np.ascontiguousarray(image), quality)


def size(data: Encoded, where: str = "image") -> tuple[int, int]:
    """(height, width) of an encoded image, from its header alone."""
    if sniff(data) == "png" and len(data) >= 24:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if sniff(data) == "jpeg":
        import simplejpeg

        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            return int(height), int(width)
        except ValueError:
            pass
    height, width, _ = decode(data, where).shape  # says what is wrong with it
    return height, width


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
        where = f"{self.where}, frame {index}"
        image = decode(self.frames[index], where)
        if self.shape is not None and image.shape[:2] != self.shape:
            raise DataError(
                "a frame of another size than its camera",
                where=where,
                expected=f"{self.shape[0]}×{self.shape[1]} (height × width)",
                got=f"{image.shape[0]}×{image.shape[1]}",
            )
        return image

    def __reduce__(self):  # slices of a record cannot be pickled
        return EncodedImages, ([bytes(f) for f in self.frames], self.where, self.shape)


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
