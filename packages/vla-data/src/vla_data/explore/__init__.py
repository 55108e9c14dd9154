"""Looking at data: what is in a data set (`inspect`), its numbers (`stats`), all of it on one page
(`report_sections`), one episode of it (`view_episode`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.explore.data_model import DataModel, inspect
    from vla_data.explore.dataset_stats import DatasetStats, stats
    from vla_data.explore.exports import export_stats, write_stats
    from vla_data.explore.merging import MergedStats, merge_stats
    from vla_data.explore.overview_page import look_at, report_sections
    from vla_data.explore.stats_page import sections
    from vla_data.explore.viewing import open_viewer, view_episode

__all__ = [
    "DataModel",
    "DatasetStats",
    "MergedStats",
    "export_stats",
    "inspect",
    "look_at",
    "merge_stats",
    "open_viewer",
    "report_sections",
    "sections",
    "stats",
    "view_episode",
    "write_stats",
]

_HOMES = {
    "DataModel": "data_model",
    "inspect": "data_model",
    "DatasetStats": "dataset_stats",
    "stats": "dataset_stats",
    "MergedStats": "merging",
    "merge_stats": "merging",
    "export_stats": "exports",
    "write_stats": "exports",
    "sections": "stats_page",
    "look_at": "overview_page",
    "report_sections": "overview_page",
    "view_episode": "viewing",
    "open_viewer": "viewing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
