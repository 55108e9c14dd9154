"""How the picture moved because the camera did: a similarity transform from sparse optical flow.

Corners of the last frame that lie on no detected thing are followed (Lucas-Kanade); a robust fit of shift,
turn and scale to their motion is the camera's. Where too few agree, the camera is taken to stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from vla_vision.types import Frame

Affine = Float64[np.ndarray, "2 3"]


@dataclass(frozen=True)
class CameraConfig:
    """How camera motion is found.

    Args:
        enabled: off for a camera that stands still; nothing is computed then.
        width: frames are scaled down to this many pixels in width.
        corners: followed at most.
        agreeing: smallest number of corners that must agree.
        error: pixels (scaled down) within which one agrees.
    """

    enabled: bool = True
    width: int = 320
    corners: int = 200
    agreeing: int = 12
    error: float = 1.5


class CameraMotion:
    """The picture's motion from frame to frame; `update` once a frame."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self._last: np.ndarray | None = None
        self._corners: np.ndarray | None = None

    def update(self, image: Frame | None, boxes: Float32[np.ndarray, "n 4"]) -> Affine | None:
        """The transform from last frame's pixels to this one's; None where it is not known."""
        if image is None or not self.config.enabled:
            return None
        import cv2

        scale = min(1.0, self.config.width / image.shape[1])
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._follow(grey)
        self._last, self._corners = grey, self._find(grey, boxes * scale)
        if found is not None:
            found[:, 2] /= scale
        return found

    def _follow(self, grey: np.ndarray) -> Affine | None:
        import cv2

        if self._last is None or self._corners is None or len(self._corners) < self.config.agreeing:
            return None
        moved, status, _ = cv2.calcOpticalFlowPyrLK(self._last, grey, self._corners, None)  # type: ignore[call-overload]
        good = status.ravel() == 1
        start, end = self._corners[good], moved[good]
        if len(start) < self.config.agreeing:
            return None
        affine, inliers = cv2.estimateAffinePartial2D(
            start, end, method=cv2.RANSAC, ransacReprojThreshold=self.config.error
        )
        trusted = affine is not None and int(inliers.sum()) >= max(self.config.agreeing, len(start) // 3)
        return np.asarray(affine, np.float64) if trusted else None

    def _find(self, grey: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        import cv2

        mask = np.full(grey.shape, 255, np.uint8)
        for x1, y1, x2, y2 in boxes.round().astype(int).clip(0):
            mask[y1:y2, x1:x2] = 0
        return cv2.goodFeaturesToTrack(grey, self.config.corners, 0.01, 5, mask=mask)
