"""Other light, another sensor: colours changed alike in every frame of an episode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vla_data.augment.lazy import ChangedImages
from vla_data.augment.series import require_range
from vla_data.types import Episode

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# RGB to luma and two differences of colour (YIQ), in whose plane hue is an angle.
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


@dataclass(frozen=True)
class ColourJitter:
    """Other light, another sensor: brightness, contrast, saturation and hue, the same in every frame of an
    episode, and in all cameras unless `apart`.

    Args:
        brightness: most of the full range that is added or taken.
        contrast, saturation: most that they grow or shrink by, as a part.
        hue: most degrees that colours turn.
        apart: each camera draws its own.
    """

    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.3
    hue: float = 5.0
    apart: bool = False
    kind: Literal["colour"] = "colour"

    def __post_init__(self) -> None:
        for name, most in (("brightness", 1.0), ("contrast", 1.0), ("saturation", 1.0), ("hue", 180.0)):
            require_range(f"ColourJitter.{name}", getattr(self, name), most)

    def __call__(self, episode: Episode, rng: np.random.Generator) -> Episode:
        shared = self._draw(rng)
        images = {}
        for name in sorted(episode.images):
            tone = self._draw(rng) if self.apart else shared
            images[name] = ChangedImages(episode.images[name], tone.change_image)
        return replace(episode, images=images)

    def _draw(self, rng: np.random.Generator) -> Tone:
        added = 255 * rng.uniform(-self.brightness, self.brightness)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        saturation = 1 + rng.uniform(-self.saturation, self.saturation)
        hue = np.deg2rad(rng.uniform(-self.hue, self.hue))
        c, s = saturation * np.cos(hue), saturation * np.sin(hue)
        turn = np.linalg.inv(YIQ) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ YIQ
        grey = 127.5
        return Tone((contrast * turn).astype(np.float32), np.float32(added + grey * (1 - contrast)))


@dataclass(frozen=True, eq=False)
class Tone:
    """Colours times a 3×3 matrix, plus a constant."""

    matrix: np.ndarray
    added: np.float32

    def change_image(self, image: np.ndarray, index: int) -> np.ndarray:
        """The frame in other colours, uint8 [height, width, 3]."""
        if not image.any():  # a view that is missing stays recognisable as such
            return image
        return np.clip(np.rint(image @ self.matrix.T + self.added), 0, 255).astype(np.uint8)
