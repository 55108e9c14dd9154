"""LeRobotDataset v3.0, read and written without the lerobot package. Needs `vla-data[lerobot]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.formats.lerobot.reader import LeRobotReader
    from vla_data.formats.lerobot.writer import LeRobotWriter

__all__ = ["LeRobotReader", "LeRobotWriter"]

_HOMES = {"LeRobotReader": "reader", "LeRobotWriter": "writer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
