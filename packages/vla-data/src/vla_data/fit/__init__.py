"""The suite's one training loop: Lightning inside, exact resume, safetensors throughout.

Importing this is light; torch is paid for when a name is first used, Lightning inside `fit` only.
Needs the extra `vla-data[train]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vla_data.fit.config import FitConfig
from vla_data.fit.errors import DivergedError

if TYPE_CHECKING:
    from vla_data.fit.loop import FitResult, fit
    from vla_data.fit.weights import load_weights, save_weights

_LAZY = {
    "FitResult": "vla_data.fit.loop",
    "fit": "vla_data.fit.loop",
    "load_weights": "vla_data.fit.weights",
    "save_weights": "vla_data.fit.weights",
}

__all__ = ["DivergedError", "FitConfig", "FitResult", "fit", "load_weights", "save_weights"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
