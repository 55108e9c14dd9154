"""vla-ts: robot time series to codes and back. Importing this is light; torch comes with the first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_ts.bins import QuantileBinsCodec, UniformBinsCodec
    from vla_ts.codecs import CODECS, fit_codec, load_codec
    from vla_ts.dct_bpe import DctBpeCodec
    from vla_ts.fit import FitVqvaeConfig, fit_vqvae
    from vla_ts.reference import GaussianReference
    from vla_ts.spline import SplineCodec
    from vla_ts.trajectories import Trajectories, read_trajectories
    from vla_ts.vqvae import VqVaeCodec

__version__ = "0.1.0"

_LAZY = {
    "CODECS": "vla_ts.codecs",
    "DctBpeCodec": "vla_ts.dct_bpe",
    "FitVqvaeConfig": "vla_ts.fit",
    "GaussianReference": "vla_ts.reference",
    "QuantileBinsCodec": "vla_ts.bins",
    "SplineCodec": "vla_ts.spline",
    "Trajectories": "vla_ts.trajectories",
    "UniformBinsCodec": "vla_ts.bins",
    "VqVaeCodec": "vla_ts.vqvae",
    "fit_codec": "vla_ts.codecs",
    "fit_vqvae": "vla_ts.fit",
    "load_codec": "vla_ts.codecs",
    "read_trajectories": "vla_ts.trajectories",
}

__all__ = [
    "CODECS",
    "DctBpeCodec",
    "FitVqvaeConfig",
    "GaussianReference",
    "QuantileBinsCodec",
    "SplineCodec",
    "Trajectories",
    "UniformBinsCodec",
    "VqVaeCodec",
    "__version__",
    "fit_codec",
    "fit_vqvae",
    "load_codec",
    "read_trajectories",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
