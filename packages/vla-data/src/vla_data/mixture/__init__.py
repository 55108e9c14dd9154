"""Mixtures: samples of many data sets in given shares, in an order that is a function of the position.

config = load_mixture(Path("mix.toml"))
mixture = Mixture.open(config)
sample = mixture[123_456]                                # any position, at once
batches = MixtureBatches(mixture, 64)                    # arrays; what a DataLoader takes as it is
for batch in MixtureStream(batches, workers=4): ...      # resumes by state_dict / load_state_dict
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.mixture.batches import MixtureBatches
    from vla_data.mixture.config import DatasetShare, MixtureConfig, WindowConfig, load_mixture
    from vla_data.mixture.prefetch import iterate
    from vla_data.mixture.sampling import Mixture
    from vla_data.mixture.statistics import DatasetNorm, mixture_norms
    from vla_data.mixture.stream import MixtureStream
    from vla_data.mixture.windows import MixtureSample

__all__ = [
    "DatasetNorm",
    "DatasetShare",
    "Mixture",
    "MixtureBatches",
    "MixtureConfig",
    "MixtureSample",
    "MixtureStream",
    "WindowConfig",
    "iterate",
    "load_mixture",
    "mixture_norms",
]

_HOMES = {
    "DatasetNorm": "statistics",
    "DatasetShare": "config",
    "Mixture": "sampling",
    "MixtureBatches": "batches",
    "MixtureConfig": "config",
    "MixtureSample": "windows",
    "MixtureStream": "stream",
    "WindowConfig": "config",
    "iterate": "prefetch",
    "load_mixture": "config",
    "mixture_norms": "statistics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
