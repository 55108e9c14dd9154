"""The integrated loop: what is where, how far, moving how fast, frame by frame."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.perception.percept import Percept

_LAZY = {"Percept": "percept"}

__all__ = ["Percept"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.perception.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
