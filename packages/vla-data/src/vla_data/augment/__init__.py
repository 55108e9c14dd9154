"""Augmentation: copies of episodes that differ as another day, another mount or a slower sensor would make
them differ."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.augment.cameras import CameraWarp
    from vla_data.augment.colours import ColourJitter
    from vla_data.augment.datasets import augment_dataset
    from vla_data.augment.recipes import PRESETS, AugmentConfig, augmented
    from vla_data.augment.series import LagShift, MaskSpans
    from vla_data.augment.steps import ImageNoise, StateDropout

_HOMES = {
    "PRESETS": "recipes",
    "AugmentConfig": "recipes",
    "CameraWarp": "cameras",
    "ColourJitter": "colours",
    "ImageNoise": "steps",
    "LagShift": "series",
    "MaskSpans": "series",
    "StateDropout": "steps",
    "augment_dataset": "datasets",
    "augmented": "recipes",
}
__all__ = [
    "PRESETS",
    "AugmentConfig",
    "CameraWarp",
    "ColourJitter",
    "ImageNoise",
    "LagShift",
    "MaskSpans",
    "StateDropout",
    "augment_dataset",
    "augmented",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
