"""A detector without weights: connected regions that stand out from the frame's commonest colour.

Of use in tests and examples, and for a few things on a plain table. It knows one class, "thing".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_vision.detection.config import DetectOptions
from vla_vision.detection.network import AnySize, require_frames
from vla_vision.types import Detections, Frame

DIFFERENCE = 40.0  # levels between a thing and the background, over all channels
LEAST_AREA = 16  # pixels
LARGEST_SHARE = 0.5  # of the frame: more than that is background


class BlobDetector:
    """A `Detector`; a thing's score is its contrast to the background in [0, 1]."""

    def __init__(self, options: DetectOptions | None = None) -> None:
        self.options = options or DetectOptions()

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("thing",)

    def detect(self, images: Sequence[AnySize]) -> list[Detections]:
        """One `Detections` a frame, in order; raises DataError for an image without pixels."""
        require_frames(images)
        return [self._look(image) for image in images]

    def _look(self, image: Frame) -> Detections:
        import cv2

        far = np.linalg.norm(image.astype(np.float32) - _commonest(image), axis=2)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((far > DIFFERENCE).astype(np.uint8))
        areas = stats[:, cv2.CC_STAT_AREA]
        kept = np.flatnonzero(
            (areas >= LEAST_AREA) & (areas <= LARGEST_SHARE * far.size) & (np.arange(count) > 0)
        )
        x, y, w, h = stats[kept, :4].T.astype(np.float32)
        contrast = np.bincount(labels.ravel(), far.ravel(), count)[kept] / np.maximum(areas[kept], 1)
        scores = np.clip(contrast / 255, 0, 1).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= self.options.score][: self.options.max_detections]
        boxes = np.stack([x, y, x + w, y + h], axis=1)[order]
        return Detections(boxes, scores[order], np.zeros(len(order), np.int64), self.class_names)


def _commonest(image: Frame) -> np.ndarray:
    """The colour that most pixels have, to within an eighth of the range."""
    coarse = (image >> 5).astype(np.int64) @ np.array([64, 8, 1])
    return image.reshape(-1, 3)[coarse.ravel() == np.bincount(coarse.ravel()).argmax()].mean(axis=0)
