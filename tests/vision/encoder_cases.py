"""What the tests of the encoder share: percepts made by hand, and a small data set of labelled blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.vision.labelled import FAR, HEIGHT, WIDTH, Source, labelled_episode

from vla_data.types import Episode
from vla_vision.encoder.config import PRESETS, EncoderConfig, FeatureConfig
from vla_vision.perception.percept import Percept
from vla_vision.types import DepthMap, Detections, Tracks
from vla_vision.velocity.filter import Velocities

CLASSES = ("block", "gripper", "mug")


def small_features(**changes: object) -> FeatureConfig:
    """The size of the debug encoder, with classes."""
    return replace(PRESETS["debug"]().features, class_names=CLASSES, **changes)  # type: ignore[arg-type]


def small_encoder(**changes: object) -> EncoderConfig:
    return replace(PRESETS["debug"](), features=small_features(), **changes)  # type: ignore[arg-type]


def tracks(
    ids: list[int],
    boxes: np.ndarray | None = None,
    scores: list[float] | None = None,
    names: tuple[str, ...] = CLASSES,
    seen: bool = True,
) -> Tracks:
    """Tracks of class number id mod classes; without boxes, somewhere within 64×48 pixels."""
    n = len(ids)
    if boxes is None:
        boxes = np.array([[4.0 + i, 5.0, 14.0 + i, 20.0] for i in range(n)], np.float32).reshape(-1, 4)
    detections = np.arange(n) if seen else np.full(n, -1)
    return Tracks(
        np.array(ids, np.int64),
        boxes,
        np.array(scores if scores is not None else [0.9] * n, np.float32),
        np.array([i % len(names) for i in ids], np.int64),
        np.arange(n),
        detections.astype(np.int64),
        np.full((n, 2), 1.5, np.float32),
        names,
    )


def percept(index: int, found: Tracks, rate: float = 10.0, **changes: object) -> Percept:
    """A percept at time (index − 1) / rate, 64×48 pixels, a depth of `FAR` and no velocity."""
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    depth = DepthMap(np.full((HEIGHT, WIDTH), FAR, np.float32), "metric")
    depths = np.full(len(found), FAR)
    made = Percept(index, (index - 1) / rate, image, Detections.empty(), found, depth, 0, depths)
    return replace(made, **changes)  # type: ignore[arg-type]


def velocities(ids: list[int], frame: str = "camera", spread: float = 0.02) -> Velocities:
    """Places and velocities that follow from the identity."""
    n = len(ids)
    at = np.array([[0.1 * i, 0.2, 1.0 + i] for i in ids]).reshape(-1, 3)
    speed = np.array([[0.3, -0.1 * i, 0.05] for i in ids]).reshape(-1, 3)
    covariance = np.broadcast_to(np.eye(6) * spread**2, (n, 6, 6)).copy()
    return Velocities(np.array(ids, np.int64), at, speed, covariance, np.ones(n, bool), frame)  # type: ignore[arg-type]


def seen_episode(seed: int = 0, steps: int = 16, depth: bool = True) -> Episode:
    """Labelled blocks at a known depth."""
    episode = labelled_episode(seed, steps)
    flat = np.full((steps, HEIGHT, WIDTH), FAR, np.float32)
    return replace(episode, depth={"front": flat}) if depth else episode


def blocks(count: int = 3, steps: int = 16, depth: bool = True) -> Source:
    return Source(tuple(seen_episode(i, steps, depth) for i in range(count)))
