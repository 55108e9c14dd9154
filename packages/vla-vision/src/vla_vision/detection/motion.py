"""A detector without weights for a camera that stands still: what moves before it.

Each pixel's background is a mixture of normal distributions (OpenCV's MOG2; Zivkovic 2004, "Improved
adaptive Gaussian mixture model for background subtraction"); regions that do not fit it are things. It
remembers: frames must come in order, and what never moved, or has stood still for long, is not seen. It knows
one class, "moving".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_vision.detection.config import DetectOptions
from vla_vision.detection.network import AnySize, require_frames
from vla_vision.types import Detections, Frame

FRAMES = 200  # after which what stands still belongs to the background, about
VARIANCE = 40.0  # squared distance in deviations beyond which a pixel is no background
LEAST_SHARE = 5e-4  # of the frame
LARGEST_SHARE = 0.6  # more than that: the camera moved, or the light changed


class MotionDetector:
    """A `Detector` with a memory. Scores are 1: it cannot tell how sure it is. Large things come first.

    A frame of another size begins anew.
    """

    def __init__(self, options: DetectOptions | None = None) -> None:
        self.options = options or DetectOptions()
        self._shape: tuple[int, ...] | None = None
        self._start()

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("moving",)

    def detect(self, images: Sequence[AnySize]) -> list[Detections]:
        """One `Detections` a frame, in order; raises DataError for an image without pixels."""
        require_frames(images)
        return [self._look(image) for image in images]

    def _start(self) -> None:
        import cv2

        self._background = cv2.createBackgroundSubtractorMOG2(FRAMES, VARIANCE, detectShadows=False)

    def _look(self, image: Frame) -> Detections:
        import cv2

        if image.shape != self._shape:
            self._shape = image.shape
            self._start()
            self._background.apply(cv2.GaussianBlur(image, (3, 3), 0), learningRate=1)
            return Detections.empty(self.class_names)
        plain = cv2.GaussianBlur(image, (3, 3), 0)
        changed = np.asarray(self._background.apply(plain, learningRate=1 / FRAMES), np.uint8)
        side = 2 * round(image.shape[0] / 80) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        changed = cv2.morphologyEx(cv2.medianBlur(changed, 3), cv2.MORPH_CLOSE, kernel)
        count, _, stats, _ = cv2.connectedComponentsWithStats((changed > 0).astype(np.uint8))
        areas, size = stats[:, cv2.CC_STAT_AREA], changed.size
        fits = (areas >= LEAST_SHARE * size) & (areas <= LARGEST_SHARE * size)
        kept = np.flatnonzero(fits & (np.arange(count) > 0))
        x, y, w, h = stats[kept, :4].T.astype(np.float32)
        order = np.argsort(-areas[kept], kind="stable")[: self.options.max_detections]
        boxes = np.stack([x, y, x + w, y + h], axis=1)[order]
        count = len(order)
        return Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int64), self.class_names)
