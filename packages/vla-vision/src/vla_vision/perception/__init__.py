"""The integrated loop: what is where, how far, moving how fast, frame by frame."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.perception.config import PRESETS, PerceiveConfig
    from vla_vision.perception.perceiver import Models, Perceiver
    from vla_vision.perception.percept import Percept
    from vla_vision.perception.run import PerceiveSummary, perceive_source
    from vla_vision.perception.sight import Sight, SightConfig

_LAZY = {
    "PRESETS": "config",
    "Models": "perceiver",
    "PerceiveConfig": "config",
    "PerceiveSummary": "run",
    "Perceiver": "perceiver",
    "Percept": "percept",
    "Sight": "sight",
    "SightConfig": "sight",
    "perceive_source": "run",
}

__all__ = [
    "PRESETS",
    "Models",
    "PerceiveConfig",
    "PerceiveSummary",
    "Perceiver",
    "Percept",
    "Sight",
    "SightConfig",
    "perceive_source",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.perception.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
