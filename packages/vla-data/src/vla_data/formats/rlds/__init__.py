"""Data sets in TFDS layout (RLDS), read and written without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.formats.rlds.finish import finish_dataset
    from vla_data.formats.rlds.layout import shard_path
    from vla_data.formats.rlds.reader import RldsReader
    from vla_data.formats.rlds.writer import RldsWriter

__all__ = ["RldsReader", "RldsWriter", "finish_dataset", "shard_path"]

_HOMES = {"RldsReader": "reader", "RldsWriter": "writer", "finish_dataset": "finish", "shard_path": "layout"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
