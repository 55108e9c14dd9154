"""Depth as pictures for people: near is bright and warm, far is dark, unknown is black."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from vla_vision.types import DepthMap

UNKNOWN = (0, 0, 0)


def depth_range(depth: DepthMap) -> tuple[float, float]:
    """What is drawn nearest and farthest: the 2nd and 98th percentile of what is known, in its own unit."""
    values = depth.values[_known(depth)]
    if not values.size:
        return (1.0, 2.0) if depth.kind == "metric" else (1.0, 0.0)
    low, high = (float(v) for v in np.quantile(values, [0.02, 0.98]))
    high = max(high, low + 1e-6)
    return (low, high) if depth.kind == "metric" else (high, low)


def colourise(
    depth: DepthMap, span: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of a depth map.

    Args:
        span: values drawn nearest and farthest, such as those of the first frame of a video; None: its own.
    """
    import cv2

    near, far = span or depth_range(depth)
    values = np.where(_known(depth), depth.values, far).astype(np.float64)
    if depth.kind == "metric":  # what is near deserves most of the colours
        values, near, far = 1 / np.maximum(values, 1e-6), 1 / max(near, 1e-6), 1 / max(far, 1e-6)
    share = np.clip((values - far) / (near - far), 0, 1)
    # The lowest colour of the map is black, which means unknown here.
    level = (20 + 235 * share).astype(np.uint8)
    coloured = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.where(_known(depth)[..., None], coloured, np.array(UNKNOWN, np.uint8)).astype(np.uint8)


def error_colours(
    predicted: Float32[np.ndarray, "h w"], true: Float32[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Red where too far, blue where too near, white where right; full colour at a factor of 1.25."""
    known = (true > 0) & (predicted > 0)
    ratio = np.log(np.where(known, predicted, 1) / np.where(known, true, 1)) / np.log(1.25)
    off = np.clip(ratio, -1, 1)
    white = np.full((*true.shape, 3), 255.0)
    white[..., 1] -= 255 * np.abs(off)
    white[..., 2] -= 255 * np.maximum(off, 0)
    white[..., 0] -= 255 * np.maximum(-off, 0)
    return np.where(known[..., None], white, 0).astype(np.uint8)


def _known(depth: DepthMap) -> np.ndarray:
    known = np.isfinite(depth.values)
    return known & (depth.values > 0) if depth.kind == "metric" else known
