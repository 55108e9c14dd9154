"""Detections as a tracker can use them: finite, inside the frame, not too many. The rest is counted."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace

import numpy as np

from vla_vision.types import Detections

log = logging.getLogger(__name__)
MIN_SIDE = 1.0  # pixels; less is no object


@dataclass
class Refused:
    """Detections left out so far, by reason; `clipped` ones were cut at the frame's border and kept."""

    not_finite: int = 0
    outside: int = 0
    too_small: int = 0
    low_score: int = 0
    over_limit: int = 0
    clipped: int = 0

    def counts(self) -> dict[str, int]:
        """Reason → number, where not zero."""
        return {f.name: n for f in fields(self) if (n := getattr(self, f.name))}


def clean(
    detections: Detections,
    size: tuple[int, int] | None,
    low_score: float,
    limit: int,
    refused: Refused,
) -> tuple[Detections, np.ndarray]:
    """Usable detections, boxes clipped to the frame, and which of the given ones they are, int64.

    Args:
        size: (height, width) of the frame; None clips nothing.
        low_score: lower scores are of no use.
        limit: the best `limit` are kept; the first frame over it is warned of.
        refused: what is left out is added here.
    """
    boxes, scores = detections.boxes, detections.scores
    clipped = _clip(boxes, size)
    sides = clipped[:, 2:] - clipped[:, :2]
    good = (sides >= MIN_SIDE).all(axis=1) & (scores >= low_score)  # NaN compares false
    good &= np.isfinite(boxes).all(axis=1)
    if not good.all():
        _count(boxes, scores, clipped, low_score, refused)
    refused.clipped += int((good & (clipped != boxes).any(axis=1)).sum())
    index = _best(np.flatnonzero(good), scores, limit, refused)
    if len(index) == len(boxes) and clipped is boxes:
        return detections, index
    return replace(detections.select(index), boxes=clipped[index]), index


def _count(
    boxes: np.ndarray, scores: np.ndarray, clipped: np.ndarray, low_score: float, refused: Refused
) -> None:
    """Say why detections are of no use; the first reason counts."""
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    sides = clipped[:, 2:] - clipped[:, :2]
    real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    outside = finite & real & (sides <= 0).any(axis=1)
    small = finite & ~outside & ~(sides >= MIN_SIDE).all(axis=1)
    refused.not_finite += int((~finite).sum())
    refused.outside += int(outside.sum())
    refused.too_small += int(small.sum())
    refused.low_score += int((finite & ~outside & ~small & (scores < low_score)).sum())


def _clip(boxes: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    if size is None:
        return boxes
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def _best(index: np.ndarray, scores: np.ndarray, limit: int, refused: Refused) -> np.ndarray:
    over = len(index) - limit
    if over <= 0:
        return index
    if not refused.over_limit:
        log.warning("%d detections in one frame: the best %d are tracked (max_detections)", len(index), limit)
    refused.over_limit += over
    order = np.argsort(-scores[index], kind="stable")[:limit]
    return np.sort(index[order])
