"""Where things are in frames, known exactly or told by a teacher, and data sets of it (YOLO, MOT)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.labels.config import PRESETS, LabelConfig
    from vla_vision.labels.export import ExportOptions, export_labels
    from vla_vision.labels.naming import class_names_of
    from vla_vision.labels.teacher import Teacher, teacher_labels
    from vla_vision.labels.truth import FrameLabels, LabelCounts, true_labels

_LAZY = {
    "PRESETS": "config",
    "ExportOptions": "export",
    "FrameLabels": "truth",
    "LabelConfig": "config",
    "LabelCounts": "truth",
    "Teacher": "teacher",
    "class_names_of": "naming",
    "export_labels": "export",
    "teacher_labels": "teacher",
    "true_labels": "truth",
}

__all__ = [
    "PRESETS",
    "ExportOptions",
    "FrameLabels",
    "LabelConfig",
    "LabelCounts",
    "Teacher",
    "class_names_of",
    "export_labels",
    "teacher_labels",
    "true_labels",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.labels.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
