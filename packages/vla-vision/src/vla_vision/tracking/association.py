"""Which detection is which track: overlap, assignment.

Assignment is Jonker-Volgenant's by `lap`, on a matrix extended so that staying unmatched costs the limit.
Buffered overlap: Yang et al. 2023 (C-BIoU, WACV): boxes are widened first, so that what moved
by its own size within a frame still overlaps.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int64

Boxes = Float32[np.ndarray, "_ 4"]  # two sets of boxes differ in number
FORBIDDEN = 1e6  # cost of a pair that may not be


def overlaps(a: Boxes, b: Boxes, buffer: float = 0.0) -> Float32[np.ndarray, "n m"]:
    """Intersection over union of every pair, both widened by `buffer` of their size on each side."""
    if buffer:
        a, b = _widened(a, buffer), _widened(b, buffer)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    common = sides[..., 0] * sides[..., 1]
    union = areas(a)[:, None] + areas(b)[None] - common
    return common / np.maximum(union, 1e-9)


def coverage(boxes: Boxes) -> Float32[np.ndarray, "n"]:
    """The largest share of each box that one other box covers."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    sides = np.maximum(high - low, 0)
    common = sides[..., 0] * sides[..., 1]
    np.fill_diagonal(common, 0)
    return (common / np.maximum(areas(boxes), 1e-9)[:, None]).max(axis=1, initial=0)


def areas(boxes: Boxes) -> Float32[np.ndarray, "n"]:
    """Area of each box in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def assign(
    cost: Float[np.ndarray, "n m"], limit: float
) -> tuple[Int64[np.ndarray, "k"], Int64[np.ndarray, "k"]]:
    """(rows, columns) of the cheapest matching in which every pair costs at most `limit`."""
    none = np.zeros(0, np.int64)
    if not cost.size or cost.min() > limit:
        return none, none
    import lap

    _, columns, _ = lap.lapjv(np.asarray(cost, np.float64), extend_cost=True, cost_limit=limit)
    rows = np.flatnonzero(columns >= 0)
    return rows, columns[rows].astype(np.int64)


def _widened(boxes: Boxes, buffer: float) -> Boxes:
    margin = (boxes[:, 2:] - boxes[:, :2]) * np.float32(buffer)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
