"""Converting data sets from one format to another (`convert`), and holding copies against their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.conversion.comparison import Comparison, compare, compare_all
    from vla_data.conversion.config import ConvertConfig
    from vla_data.conversion.run import Conversion, convert

__all__ = ["Comparison", "Conversion", "ConvertConfig", "compare", "compare_all", "convert"]

_HOMES = {
    "Comparison": "comparison",
    "compare": "comparison",
    "compare_all": "comparison",
    "ConvertConfig": "config",
    "Conversion": "run",
    "convert": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
