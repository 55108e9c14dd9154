"""Where boxes will be: a constant-velocity Kalman filter over all tracks at once.

Notable features:
- state per track: centre x, centre y, width, height, and the change of each per frame
- noise proportional to the box's height, as in SORT and DeepSORT (Wojke et al. 2017, arXiv:1703.07402)
- noise of the four coordinates is independent, so each is a filter of two numbers with a 2×2 covariance in
  closed form: a frame costs a dozen array operations, however many tracks there are
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

Boxes = Float32[np.ndarray, "_ 4"]  # of some tracks, or of detections
State = Float64[np.ndarray, "_ 4"]


@dataclass(frozen=True)
class MotionConfig:
    """Noise of the motion model, as shares of a box's size (the root of its area).

    Args:
        position: standard deviation of a detected centre.
        size: of a detected width and height.
        wander: by which a centre may leave its straight path in one frame.
        acceleration: by which the velocity of a centre changes in one frame.
        growth: by which the velocity of width and height changes in one frame.
        start: standard deviation of a new track's velocity.
        lost_damping: factor on the velocity of width and height in a frame without detection.
    """

    position: float = 0.08
    size: float = 0.15
    wander: float = 0.02
    acceleration: float = 0.01
    growth: float = 0.003
    start: float = 0.1
    lost_damping: float = 0.0


@dataclass(eq=False)
class BoxStates:
    """State of N tracks: `value` and `speed` [N, 4] of (cx, cy, w, h), and the 2×2 covariances by entry."""

    value: State
    speed: State
    var: State
    cov: State
    speed_var: State

    @classmethod
    def start(cls, boxes: Boxes, config: MotionConfig) -> BoxStates:
        """Tracks at rest where their first detections are."""
        value = to_centre(boxes)
        noise = measurement_noise(value, config)
        speed_var = (config.start * _heights(value)) ** 2 * np.array([1.0, 1.0, 0.25, 0.25])
        return cls(value, np.zeros_like(value), noise * 4, np.zeros_like(value), speed_var)

    @classmethod
    def empty(cls) -> BoxStates:
        """No track."""
        return cls(*(np.zeros((0, 4)) for _ in range(5)))

    def __len__(self) -> int:
        return len(self.value)

    def select(self, index: np.ndarray) -> BoxStates:
        """The tracks that an index picks."""
        return BoxStates(*(a[index] for a in self._arrays()))

    def join(self, other: BoxStates) -> BoxStates:
        """These tracks, then the others."""
        pairs = zip(self._arrays(), other._arrays(), strict=True)
        return BoxStates(*(np.concatenate(pair) for pair in pairs))

    def boxes(self) -> Boxes:
        """float32 [N, 4] x1 y1 x2 y2."""
        return to_corners(self.value)

    def predict(self, lost: np.ndarray, config: MotionConfig) -> None:
        """One frame on; `lost` bool [N]: tracks that had no detection, whose size is held."""
        if lost.any():
            self.speed[lost, 2:] *= config.lost_damping
        scale = _heights(self.value)
        q_value = (np.array([config.wander] * 4) * scale) ** 2
        speeds = np.array([config.acceleration] * 2 + [config.growth] * 2)
        self.value += self.speed
        self.value[:, 2:] = self.value[:, 2:].clip(1.0)
        self.var += 2 * self.cov + self.speed_var + q_value
        self.cov += self.speed_var
        self.speed_var += (speeds * scale) ** 2

    def update(self, rows: np.ndarray, boxes: Boxes, config: MotionConfig) -> None:
        """Correct the tracks `rows` by what was detected, float32 [len(rows), 4]."""
        innovation = to_centre(boxes) - self.value[rows]
        spread = self.var[rows] + measurement_noise(self.value[rows], config)
        gain, speed_gain = self.var[rows] / spread, self.cov[rows] / spread
        self.value[rows] += gain * innovation
        self.speed[rows] += speed_gain * innovation
        self.speed_var[rows] -= speed_gain * self.cov[rows]
        self.cov[rows] *= 1 - gain
        self.var[rows] *= 1 - gain
        self.value[rows, 2:] = self.value[rows, 2:].clip(1.0)

    def distances(self, boxes: Boxes, config: MotionConfig) -> Float64[np.ndarray, "_ _"]:
        """Squared Mahalanobis distance of every track to every box, over the four coordinates."""
        spread = self.var + measurement_noise(self.value, config)
        difference = to_centre(boxes)[None] - self.value[:, None]
        return np.einsum("nmk,nk->nm", difference * difference, 1 / spread)

    def warp(self, affine: Float64[np.ndarray, "2 3"]) -> None:
        """Move everything as the camera's motion moved the picture: [x', y'] = A [x, y] + b.

        A turn mixes x and y; their covariance is dropped, which errs on the side of too little certainty
        lost: turns between two frames are small.
        """
        turn, shift = affine[:, :2], affine[:, 2]
        scale = np.sqrt(abs(np.linalg.det(turn)))
        self.value[:, :2] = self.value[:, :2] @ turn.T + shift
        self.speed[:, :2] = self.speed[:, :2] @ turn.T
        self.value[:, 2:] *= scale
        self.speed[:, 2:] *= scale
        for entry in (self.var, self.cov, self.speed_var):
            entry[:, :2] = entry[:, :2] @ (turn**2).T
            entry[:, 2:] *= scale**2

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.value, self.speed, self.var, self.cov, self.speed_var


def measurement_noise(value: State, config: MotionConfig) -> State:
    """Variance of a detection of each track."""
    return (np.array([config.position] * 2 + [config.size] * 2) * _heights(value)) ** 2


def to_centre(boxes: Boxes) -> State:
    """x1 y1 x2 y2 → cx cy w h, float64."""
    boxes = boxes.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def to_corners(value: State) -> Boxes:
    """cx cy w h → x1 y1 x2 y2, float32."""
    half = value[:, 2:] / 2
    return np.concatenate([value[:, :2] - half, value[:, :2] + half], axis=1).astype(np.float32)


def _heights(value: State) -> Float64[np.ndarray, "_ 1"]:
    """What noise is measured in. A lying object is wide, not high: the geometric mean serves both."""
    return np.sqrt(value[:, 2:3] * value[:, 3:4])
