"""Changes drawn anew for every step: lost readings, noise of a sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vla_data.augment.series import require_range
from vla_data.errors import ConfigError


@dataclass(frozen=True)
class StateDropout:
    """Readings lost at single steps: the whole state, or single numbers of it, become 0.

    Args:
        whole: probability that a step's state is lost.
        each: probability that a number of a step's state is lost.
    """

    whole: float = 0.05
    each: float = 0.0
    kind: Literal["state_dropout"] = "state_dropout"

    def __post_init__(self) -> None:
        for name in ("whole", "each"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    "a probability lies outside [0, 1]",
                    where=f"StateDropout.{name}",
                    got=str(getattr(self, name)),
                )

    def change_state(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        lost, single = rng.random(), rng.random(state.shape)
        return np.where((lost < self.whole) | (single < self.each), np.float32(0), state).astype(state.dtype)

    def change_image(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return image


@dataclass(frozen=True)
class ImageNoise:
    """Noise of a camera's sensor: Gaussian, of `std` grey levels, anew in every frame that shows anything."""

    std: float = 4.0
    kind: Literal["image_noise"] = "image_noise"

    def __post_init__(self) -> None:
        require_range("ImageNoise.std", 0.0, self.std)

    def change_state(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return state

    def change_image(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not image.any():  # a view that is missing stays recognisable as such
            return image
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(self.std)
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
