"""Sub-steps: what happened when in an episode, found in its series and said in words."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.label.checklists import checklist
    from vla_data.label.datasets import LabelOptions, label_dataset
    from vla_data.label.labellers import LABELLERS, PRESETS, LabelConfig, SubstepLabeller, make_labeller
    from vla_data.label.scores import mean_f1, segment_f1

_HOMES = {
    "LABELLERS": "labellers",
    "PRESETS": "labellers",
    "LabelConfig": "labellers",
    "LabelOptions": "datasets",
    "SubstepLabeller": "labellers",
    "checklist": "checklists",
    "label_dataset": "datasets",
    "make_labeller": "labellers",
    "mean_f1": "scores",
    "segment_f1": "scores",
}
__all__ = [
    "LABELLERS",
    "PRESETS",
    "LabelConfig",
    "LabelOptions",
    "SubstepLabeller",
    "checklist",
    "label_dataset",
    "make_labeller",
    "mean_f1",
    "segment_f1",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
