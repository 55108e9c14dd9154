"""How things look, without a trained model: colour and edges in horizontal bands of the box.

Notable features:
- colour as a joint histogram of hue and saturation, and one of brightness, soft in their bins, per band:
  what is worn above and below is kept apart, and a shift by some pixels changes little
- edges as a histogram of gradient directions per band
- pixels near the middle of the box count most: the corners are background
- square roots of histograms (Hellinger), so that cosine compares shares, not peaks
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vla_vision.types import Frame

Boxes = Float32[np.ndarray, "n 4"]


@dataclass(frozen=True)
class HistogramConfig:
    """Bands and bins of `HistogramEmbedder`; `height`×`width` is what a box is scaled to."""

    height: int = 64
    width: int = 32
    bands: int = 6
    hues: int = 12
    saturations: int = 3
    values: int = 8
    directions: int = 8
    edge_weight: float = 0.3


class HistogramEmbedder:
    """An `Embedder` of colour and edge histograms; needs OpenCV, no torch and no weights."""

    def __init__(self, config: HistogramConfig | None = None) -> None:
        self.config = config or HistogramConfig()
        c = self.config
        rows, columns = np.mgrid[: c.height, : c.width]
        across = np.exp(-(((columns + 0.5) / c.width - 0.5) ** 2) / (2 * 0.22**2))
        along = np.exp(-(((rows + 0.5) / c.height - 0.5) ** 2) / (2 * 0.35**2))
        self._weight = (across * along).astype(np.float32)
        self._band = rows * c.bands // c.height

    @property
    def dim(self) -> int:
        """Numbers in one embedding."""
        c = self.config
        return c.bands * (c.hues * c.saturations + c.values + c.directions)

    def embed(self, image: Frame, boxes: Boxes) -> Float32[np.ndarray, "n e"]:
        """float32 [N, dim], rows of length 1; zeros for a box outside the image."""
        found = np.zeros((len(boxes), self.dim), np.float32)
        for i, patch in enumerate(crops(image, boxes, (self.config.height, self.config.width))):
            if patch is not None:
                found[i] = self._describe(patch)
        return found

    def _describe(self, patch: Frame) -> np.ndarray:
        import cv2

        c = self.config
        hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV).astype(np.float32)
        hue, saturation, value = hsv[..., 0] / 180, hsv[..., 1] / 255, hsv[..., 2] / 255
        vivid = saturation * value  # the hue of grey and black is noise
        tone = np.minimum((vivid * c.saturations * 1.5).astype(int), c.saturations - 1)
        parts = [
            self._histogram(hue * c.hues, c.hues, self._weight, round_trip=True, outer=(tone, c.saturations)),
            self._histogram(value * (c.values - 1), c.values, self._weight),
            self._edges(patch) * c.edge_weight,
        ]
        joined = np.concatenate(parts)
        return joined / max(float(np.linalg.norm(joined)), 1e-9)

    def _edges(self, patch: Frame) -> np.ndarray:
        import cv2

        grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
        dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        angle = (np.arctan2(dy, dx) / np.pi) % 1.0 * self.config.directions
        return self._histogram(
            angle, self.config.directions, np.hypot(dx, dy) * self._weight, round_trip=True
        )

    def _histogram(
        self,
        position: np.ndarray,
        bins: int,
        weight: np.ndarray,
        round_trip: bool = False,
        outer: tuple[np.ndarray, int] | None = None,
    ) -> np.ndarray:
        """Per band, a histogram in which a pixel counts for the two bins it lies between; square roots."""
        low = np.floor(position).astype(int)
        share = position - low
        ends = (
            (low % bins, (low + 1) % bins)
            if round_trip
            else (low.clip(0, bins - 1), (low + 1).clip(0, bins - 1))
        )
        group, groups = outer if outer is not None else (np.zeros_like(low), 1)
        base = (self._band * groups + group) * bins
        size = self.config.bands * groups * bins
        counts = np.bincount((base + ends[0]).ravel(), (weight * (1 - share)).ravel(), size)
        counts += np.bincount((base + ends[1]).ravel(), (weight * share).ravel(), size)
        by_band = counts.reshape(self.config.bands, -1)
        return np.sqrt(by_band / np.maximum(by_band.sum(axis=1, keepdims=True), 1e-9)).ravel()


def crops(image: Frame, boxes: Boxes, size: tuple[int, int]) -> list[np.ndarray | None]:
    """What is in each box, scaled to (height, width); None for a box without a pixel of the image."""
    import cv2

    high, wide = image.shape[:2]
    found: list[np.ndarray | None] = []
    for x1, y1, x2, y2 in np.nan_to_num(boxes).round().astype(int).tolist():
        left, right, top, bottom = max(x1, 0), min(x2, wide), max(y1, 0), min(y2, high)
        if right - left < 1 or bottom - top < 1:
            found.append(None)
            continue
        patch = image[top:bottom, left:right]
        found.append(cv2.resize(patch, size[::-1], interpolation=cv2.INTER_LINEAR))
    return found
