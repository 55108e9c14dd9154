"""Dense channels of a frame at the encoder's size: the whole frame, stretched where its aspect differs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float16, UInt8

from vla_vision.types import DepthMap, Frame
from vla_vision.velocity.flow import per_second

LARGEST = float(np.finfo(np.float16).max)


def dense_rgb(image: Frame, height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """The frame at another size, each new pixel the mean of those it covers."""
    import cv2

    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)


def dense_depth(
    depth: DepthMap | None, height: int, width: int, max_depth: float
) -> Float16[np.ndarray, "{height} {width}"]:
    """Metres at the middle of each new pixel: depth is never mixed across an edge.

    0 where nothing is known: no or relative depth; zeros, negative numbers, NaN, Inf; beyond `max_depth`.
    """
    if depth is None or depth.kind != "metric" or not depth.values.size:
        return np.zeros((height, width), np.float16)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip((height, width), depth.values.shape, strict=True)
    )
    values = depth.values[np.ix_(rows, columns)]
    with np.errstate(invalid="ignore"):
        known = np.isfinite(values) & (values > 0) & (values <= max_depth)
    return np.where(known, values, 0).astype(np.float16)


def dense_flow(
    flow: np.ndarray, seconds: float, height: int, width: int
) -> Float16[np.ndarray, "{height} {width} 2"]:
    """Pixels a frame → frame widths and heights a second, averaged over each new pixel.

    Args:
        flow: [H, W, 2], x then y, of frames `seconds` apart.
    """
    import cv2

    rows, columns = flow.shape[:2]
    scaled = cv2.resize(np.ascontiguousarray(flow), (width, height), interpolation=cv2.INTER_AREA)
    shares = per_second(scaled, seconds) / np.array([columns, rows], np.float32)
    return np.nan_to_num(shares.clip(-LARGEST, LARGEST)).astype(np.float16)
