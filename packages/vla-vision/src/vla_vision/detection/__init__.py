"""What is where: detectors behind one protocol, their training, export and scores."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.detection.checkpoint import DetectorRecord
    from vla_vision.detection.config import DetectOptions
    from vla_vision.detection.registry import DETECTORS, load_detector
    from vla_vision.detection.scores import DetectionScores, score_detections
    from vla_vision.detection.training import TrainConfig, train_detector

_LAZY = {
    "DETECTORS": "registry",
    "DetectOptions": "config",
    "DetectionScores": "scores",
    "DetectorRecord": "checkpoint",
    "TrainConfig": "training",
    "load_detector": "registry",
    "score_detections": "scores",
    "train_detector": "training",
}

__all__ = [
    "DETECTORS",
    "DetectOptions",
    "DetectionScores",
    "DetectorRecord",
    "TrainConfig",
    "load_detector",
    "score_detections",
    "train_detector",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.detection.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
