"""Pictures in a folder as a source of frames, beside videos and episodes (`vla_vision.tracking.sources`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_vision.tracking.sources import SourceFrame
from vla_vision.types import Frame

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class ImageFiles:
    """The pictures of a folder by name, or one picture; sizes may differ.

    Raises:
        DataError: there is no picture.
    """

    live = False
    frame_rate = 10.0  # nobody says; that of the clip that shows them
    size: tuple[int, int] | None = None

    def __init__(self, path: Path) -> None:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        self.paths = [p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file()]
        if not self.paths:
            raise DataError(
                "there is no picture here",
                where=str(path),
                expected="files that end in " + ", ".join(SUFFIXES),
                got=f"{len(inside)} other files" if path.is_dir() else "another file",
            )
        self.name, self.frames = path.stem, len(self.paths)

    def __iter__(self) -> Iterator[SourceFrame]:
        for i, path in enumerate(self.paths):
            yield SourceFrame(i + 1, i / self.frame_rate, read_image(path))


def is_pictures(path: Path) -> bool:
    """Whether a path is a picture, or a folder that holds some."""
    if path.is_dir():
        return any(p.suffix.lower() in SUFFIXES for p in path.iterdir())
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read_image(path: Path) -> Frame:
    """RGB of a picture file.

    Raises:
        DataError: it cannot be decoded.
    """
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DataError(
            "a picture cannot be read",
            where=str(path),
            expected="a whole image file",
            got=f"{len(data)} bytes",
            next_step="remove it, or fetch it again",
        )
    return np.ascontiguousarray(image[..., ::-1])
