"""Depth over time: without flicker where nothing moves, without lag where something does.

Notable features:
- flicker of a whole frame goes first: the frame is brought onto the smoothed past by the factor (metric) or
  the scale and shift (relative, whose scale is arbitrary anew in every frame) that most still pixels agree
  on; where scales drift for good, the past follows slowly
- then each pixel is averaged exponentially, but starts anew where the picture changed or where its depth is
  further from the past than noise explains: edges that move are taken as they come
- where a frame has no depth (0, NaN, Inf), none is made up
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, DataError
from vla_vision.types import DepthMap, Frame

FEW = 0.2  # share of still pixels below which a frame is taken for another scene
ROUNDS = 5
HUBER = 1.345  # times the spread


@dataclass(frozen=True)
class SmoothingConfig:
    """How depth is smoothed.

    Args:
        keep: share of the past in a pixel that stays as it is; 0 smooths nothing.
        depth_gate: a pixel starts anew when its depth differs from the past by more than this share of itself
            (metric) or of the frame's range (relative).
        image_gate: or when its brightness, over 3×3 pixels, changed by more, in levels of 255.
        align: remove flicker of the whole frame's scale.
        follow: share of such a change of scale that is believed each frame.
    """

    keep: float = 0.8
    depth_gate: float = 0.08
    image_gate: float = 12.0
    align: bool = True
    follow: float = 0.05

    def __post_init__(self) -> None:
        shares = all(0 <= v < 1 for v in (self.keep, self.depth_gate, self.follow))
        if not shares or self.image_gate < 0:
            raise ConfigError(
                "a smoothing setting is out of range",
                where="SmoothingConfig",
                expected="keep, depth_gate and follow in [0, 1), image_gate at least 0",
                got=f"{self.keep}, {self.depth_gate}, {self.follow}, {self.image_gate}",
            )


class DepthSmoother:
    """Smooths the depth of one video, frame by frame, for a camera that stands still or moves slowly."""

    def __init__(self, config: SmoothingConfig | None = None) -> None:
        self.config = config or SmoothingConfig()
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame comes out as it goes in."""
        self._past: np.ndarray | None = None
        self._brightness: np.ndarray | None = None

    def update(self, depth: DepthMap, image: Frame) -> DepthMap:
        """The next frame's depth, smoothed; `image` is the frame it was made from, of the same size.

        Raises:
            DataError: the depth is not of its frame's size, or not of the size before.
        """
        self._require_size(depth, image)
        values, known = depth.values, np.isfinite(depth.values)
        known &= values > 0 if depth.kind == "metric" else True
        brightness = _brightness(image)
        if self._past is not None and self._brightness is not None:
            still = known & np.isfinite(self._past)
            still &= np.abs(brightness - self._brightness) <= self.config.image_gate
            if still.mean() >= FEW:
                values = self._blend(values, self._past, still, depth.kind)
        self._past, self._brightness = np.where(known, values, np.nan).astype(np.float32), brightness
        return DepthMap(np.where(known, values, 0).astype(np.float32), depth.kind)

    def _blend(self, now: np.ndarray, past: np.ndarray, still: np.ndarray, kind: str) -> np.ndarray:
        settings = self.config
        if settings.align:
            align = _by_factor if kind == "metric" else _by_scale_and_shift
            now, past = align(now, past, still, settings.follow)
        size: np.ndarray | float = float(np.ptp(np.quantile(past[still], [0.02, 0.98])))
        if kind == "metric":
            size = np.maximum(now, past)
        with np.errstate(invalid="ignore"):  # NaN where the past knows nothing: not still
            near = still & (np.abs(now - past) <= settings.depth_gate * size)
        return np.where(near, settings.keep * past + (1 - settings.keep) * now, now)

    def _require_size(self, depth: DepthMap, image: Frame) -> None:
        sizes = {depth.values.shape, image.shape[:2]}
        if self._past is not None:
            sizes.add(self._past.shape)
        if len(sizes) > 1:
            raise DataError(
                "frames of one video differ in size",
                where="temporal smoothing",
                expected="depth, image and the frame before of one size",
                got=", ".join(f"{h}×{w}" for h, w in sorted(sizes)),
                next_step="reset() the smoother at a cut, or smooth each size by itself",
            )


def _by_factor(
    now: np.ndarray, past: np.ndarray, still: np.ndarray, follow: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both on one scale: that of the past, but for a share `follow` of the way to that of now."""
    log_factor = float(np.median(np.log(past[still] / now[still])))
    return now * np.exp(log_factor * (1 - follow)), past * np.exp(-log_factor * follow)


def _by_scale_and_shift(
    now: np.ndarray, past: np.ndarray, still: np.ndarray, follow: float
) -> tuple[np.ndarray, np.ndarray]:
    """As `_by_factor`, for numbers whose scale and shift mean nothing."""
    scale, shift = _scale_and_shift(now[still], past[still])
    if scale <= 0:
        return now, past
    moved = (1 - follow) * (scale * now + shift) + follow * now
    return moved, (1 - follow) * past + follow * (past - shift) / scale


def _scale_and_shift(now: np.ndarray, past: np.ndarray) -> tuple[float, float]:
    """scale · now + shift ≈ past, by least squares with Huber's weights; the identity where now is flat."""
    weight = np.ones(len(now))
    scale, shift = 1.0, 0.0
    for _ in range(ROUNDS):
        mean_now, mean_past = np.average(now, weights=weight), np.average(past, weights=weight)
        spread = float((weight * (now - mean_now) ** 2).sum())
        if spread <= 1e-12 * len(now):
            return 1.0, 0.0
        scale = float((weight * (now - mean_now) * (past - mean_past)).sum()) / spread
        shift = float(mean_past - scale * mean_now)
        off = np.abs(scale * now + shift - past)
        typical = 1.4826 * max(float(np.median(off)), 1e-12)
        weight = np.minimum(1.0, HUBER * typical / np.maximum(off, 1e-12))
    return scale, shift


def _brightness(image: Frame) -> Float32[np.ndarray, "height width"]:
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return cv2.blur(grey.astype(np.float32), (3, 3))
