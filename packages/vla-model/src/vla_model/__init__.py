"""vla-model: policies, their training and their evaluation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_model.finetuning import FinetuneConfig, finetune
    from vla_model.policies.registry import load_policy

__version__ = "0.1.0"
__all__ = ["FinetuneConfig", "__version__", "finetune", "load_policy"]

_HOMES = {"FinetuneConfig": "finetuning", "finetune": "finetuning", "load_policy": "policies.registry"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vla_model.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'vla_model' has no attribute {name!r}")
