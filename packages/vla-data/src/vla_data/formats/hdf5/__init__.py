"""Demonstrations in HDF5, as robomimic and LIBERO publish them, read lazily. Needs `vla-data[hdf5]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.formats.hdf5.reader import Hdf5Reader

__all__ = ["Hdf5Reader"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vla_data.formats.hdf5.reader import Hdf5Reader

    return Hdf5Reader
