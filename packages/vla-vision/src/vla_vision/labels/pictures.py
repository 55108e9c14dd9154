"""Pictures into files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_vision.types import Frame

ENDINGS = {"jpeg": "jpg", "png": "png"}


def write_picture(path: Path, image: Frame, quality: int = 95) -> None:
    """Write RGB as what the path's ending says, jpg or png; `quality` is for the first.

    Raises:
        DataError: it cannot be encoded, or the disk is full.
    """
    import cv2

    options = (
        [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    )
    try:
        good, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), options)
        if good:
            path.write_bytes(data.tobytes())
            return
        got = f"uint8 {list(image.shape)}"
    except (cv2.error, OSError) as error:
        got = str(error)
    raise DataError(
        "a picture cannot be written", where=str(path), expected="a picture and room for it", got=got
    )
