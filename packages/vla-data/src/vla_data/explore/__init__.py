"""Looking at data: what is in a data set (`inspect`), and its numbers (`stats`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.explore.data_model import DataModel, inspect
    from vla_data.explore.dataset_stats import DatasetStats, sections, stats

__all__ = ["DataModel", "DatasetStats", "inspect", "sections", "stats"]

_HOMES = {
    "DataModel": "data_model",
    "inspect": "data_model",
    "DatasetStats": "dataset_stats",
    "sections": "dataset_stats",
    "stats": "dataset_stats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
