"""vla-ts: robot time series to codes and back. Importing this is light; torch comes with the first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_ts.bins import UniformBinsCodec
    from vla_ts.fit import FitVqvaeConfig, fit_vqvae
    from vla_ts.storage import load_codec
    from vla_ts.vqvae import VqVaeCodec

__version__ = "0.1.0"

_LAZY = {
    "FitVqvaeConfig": "vla_ts.fit",
    "UniformBinsCodec": "vla_ts.bins",
    "VqVaeCodec": "vla_ts.vqvae",
    "fit_vqvae": "vla_ts.fit",
    "load_codec": "vla_ts.storage",
}

__all__ = ["FitVqvaeConfig", "UniformBinsCodec", "VqVaeCodec", "__version__", "fit_vqvae", "load_codec"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
