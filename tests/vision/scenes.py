"""Made-up detections and pictures for the tests of tracking and velocity."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_vision.types import Detections, Tracks


def found(
    boxes: Any, scores: Any = 0.9, classes: Any = 0, embeddings: Any = None, names: tuple[str, ...] = ()
) -> Detections:
    """Detections of boxes [N, 4]; one score and class for all, or one each."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    return Detections(
        boxes,
        np.broadcast_to(np.asarray(scores, np.float32), n).copy(),
        np.broadcast_to(np.asarray(classes, np.int64), n).copy(),
        names,
        None,
        None if embeddings is None else np.asarray(embeddings, np.float32),
    )


def box(x: float, y: float, width: float = 40, height: float = 80) -> list[float]:
    """x1 y1 x2 y2 around a centre."""
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def tracked(boxes, ids=None, seen: bool = True) -> Tracks:
    """Tracks of boxes [N, 4] with identities 1, 2, …"""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    zeros = np.zeros(n, np.int64)
    ids = np.arange(1, n + 1) if ids is None else np.asarray(ids, np.int64)
    detections = np.arange(n) if seen else zeros - 1
    speeds = np.zeros((n, 2), np.float32)
    return Tracks(ids, boxes, np.ones(n, np.float32), zeros, zeros, detections, speeds)


def texture(seed: int, height: int = 240, width: int = 320) -> np.ndarray:
    """A picture with structure at several scales, uint8 [height, width, 3]."""
    import cv2

    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cells in (8, 24, 80):
        noise = rng.normal(0, 30, (cells * height // width + 1, cells, 3))
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return (picture + 128).clip(0, 255).astype(np.uint8)
