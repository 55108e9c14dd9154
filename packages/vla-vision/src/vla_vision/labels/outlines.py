"""The outline of a mask as one polygon."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

SMALL_PART = 0.02  # of the largest part's pixels; less is the edge of something in front


def outline(mask: Bool[np.ndarray, "height width"]) -> Float32[np.ndarray, "corners 2"]:
    """Corners x, y in pixels, (0, 0) the upper left corner of the first pixel; at least three.

    Parts of a mask that something in front cuts apart are joined by lines there and back. The outline runs
    a quarter of a pixel inside the outermost pixels' edges.

    Args:
        mask: with at least one pixel.
    """
    import cv2

    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    parts, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = sorted((p.reshape(-1, 2) for p in parts), key=_area, reverse=True)
    kept = [p for p in parts if _area(p) >= SMALL_PART * _area(parts[0])]
    joined = kept[0]
    for part in kept[1:]:
        joined = _joined(joined, part)
    return ((joined + 0.5) / 2).astype(np.float32)


def _area(points: np.ndarray) -> float:
    """Pixels inside a contour, about: its area lacks half of those it runs through."""
    import cv2

    return cv2.contourArea(points) + len(points) / 2 + 1


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """From the nearest point of the one around the other and back."""
    apart = np.linalg.norm(one[:, None].astype(np.float64) - other[None], axis=-1)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.concatenate([other[j:], other[: j + 1]])
    return np.concatenate([one[: i + 1], around, one[i:]])
