"""What a network of the YOLO family puts out, read as detections. NumPy and OpenCV only.

Notable features:
- both forms there are: one row an anchor (every class's score, overlaps to be suppressed or not), and
  finished rows
- bounded: candidates are cut to the best few thousand before anything is compared with anything
- masks as a sum of prototypes (Bolya et al. 2019, arXiv:1904.02689), cut to their box
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vla_data.errors import CheckpointError
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.letterbox import Placement
from vla_vision.tracking.association import overlaps
from vla_vision.types import Detections

MOST_CANDIDATES = 2000
FINISHED = 6  # x1 y1 x2 y2 score class
LEAST_SIDE = 1e-3  # pixels: a box clipped to less has nothing of the frame


@dataclass(frozen=True)
class Layout:
    """How an output is to be read.

    Args:
        form: "anchors" [N, 4 + classes + masks, A] or "rows" [N, K, 6 + masks].
        classes: number of classes.
        masks: mask prototypes, 0 for a network without masks.
        corners: whether boxes of anchors are x1 y1 x2 y2, else centre, width, height.
        suppress: whether overlapping boxes are still to be suppressed.
    """

    form: Literal["anchors", "rows"]
    classes: int
    masks: int = 0
    corners: bool = False
    suppress: bool = True


def layout_of(shape: tuple[object, ...], classes: int, masks: int, where: str) -> Layout:
    """The layout of a foreign network by its first output's shape; dimensions that vary are no numbers.

    Raises:
        CheckpointError: it is no layout of the YOLO family.
    """
    if len(shape) == 3 and shape[2] == FINISHED + masks:
        return Layout("rows", classes, masks, corners=True, suppress=False)
    if len(shape) == 3 and (shape[1] == 4 + classes + masks or not isinstance(shape[1], int)):
        return Layout("anchors", classes, masks)
    raise CheckpointError(
        "the output of a network is not one of the YOLO family",
        where=where,
        expected=f"[N, {4 + classes + masks}, anchors] or [N, rows, {FINISHED + masks}]: {classes} classes",
        got=str(list(shape)),
    )


def decode(
    output: Float32[np.ndarray, "..."],
    prototypes: Float32[np.ndarray, "..."] | None,
    layout: Layout,
    placement: Placement,
    options: DetectOptions,
    class_names: tuple[str, ...],
) -> Detections:
    """The detections of one frame, most confident first, inside the frame.

    Args:
        output: [channels, A] or [K, columns], of one frame.
        prototypes: [masks, h, w] of the same frame, or None.
    """
    boxes, scores, classes, coefficients = _candidates(output, layout, options.score)
    size = (placement.height, placement.width)
    boxes = placement.to_frame(boxes)
    kept, clipped = select(boxes, scores, classes, size, options, overlapping=layout.suppress)
    found = Detections(clipped, scores[kept], classes[kept], class_names)
    if prototypes is None or not layout.masks:
        return found
    return replace(found, masks=_masks(coefficients[kept], prototypes, clipped, placement))


def select(
    boxes: Float32[np.ndarray, "n 4"],
    scores: Float32[np.ndarray, "n"],
    classes: Int64[np.ndarray, "n"],
    size: tuple[int, int],
    options: DetectOptions,
    *,
    overlapping: bool,
) -> tuple[Int64[np.ndarray, "k"], Float32[np.ndarray, "k 4"]]:
    """Indices of what is kept, best first, and their boxes cut to the frame of `size` (height, width).

    `overlapping` says that boxes of one thing are still to be suppressed.
    """
    most = options.max_detections
    kept = suppress(boxes, scores, classes, options.iou, most) if overlapping else _best(scores, most)
    clipped = np.clip(boxes[kept], 0, np.array([size[1], size[0]] * 2, np.float32)).astype(np.float32)
    seen = ((clipped[:, 2:] - clipped[:, :2]) > LEAST_SIDE).all(axis=1)
    return kept[seen].astype(np.int64), clipped[seen]


def suppress(
    boxes: Float32[np.ndarray, "n 4"],
    scores: Float32[np.ndarray, "n"],
    classes: Int64[np.ndarray, "n"],
    iou: float,
    limit: int,
) -> Int64[np.ndarray, "k"]:
    """Non-maximum suppression within classes: indices of what is kept, best first, at most `limit`."""
    order = _best(scores, len(scores))
    span = float(boxes.max(initial=0)) - float(boxes.min(initial=0)) + 1
    apart = boxes[order] + (classes[order] * span)[:, None].astype(np.float32)
    kept: list[int] = []
    left = np.arange(len(order))
    while len(left) and len(kept) < limit:
        first, left = left[0], left[1:]
        kept.append(int(order[first]))
        left = left[overlaps(apart[first : first + 1], apart[left])[0] <= iou]
    return np.array(kept, np.int64)


def _candidates(
    output: np.ndarray, layout: Layout, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes x1 y1 x2 y2, scores, classes and mask coefficients of what reaches the least score."""
    if layout.form == "rows":
        boxes, scores = output[:, :4], output[:, 4]
        classes, coefficients = output[:, 5].astype(np.int64), output[:, FINISHED:]
    else:
        by_class = output[4 : 4 + layout.classes]
        anchors, classes = _over(by_class, least)
        scores, boxes = by_class[classes, anchors], output[:4, anchors].T
        coefficients = output[4 + layout.classes :, anchors].T
    sound = (scores >= least) & np.isfinite(boxes).all(axis=1) & (classes >= 0) & (classes < layout.classes)
    index = np.flatnonzero(sound)
    index = index[_best(scores[index], MOST_CANDIDATES)]
    boxes = boxes[index].astype(np.float32)
    if not layout.corners:
        boxes = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    return boxes, scores[index].astype(np.float32), classes[index].astype(np.int64), coefficients[index]


def _over(by_class: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(anchors, classes): every anchor that reaches the least score in any class, with its best class."""
    anchors = np.flatnonzero(by_class.max(axis=0, initial=0) >= least)
    return anchors, by_class[:, anchors].argmax(axis=0) if len(anchors) else np.zeros(0, np.int64)


def _best(scores: np.ndarray, limit: int) -> np.ndarray:
    """Indices of the highest scores, highest first; of equal ones the first."""
    return np.argsort(-scores, kind="stable")[:limit]


def _masks(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, placement: Placement
) -> Bool[np.ndarray, "n height width"]:
    """Sum the prototypes of each detection, scale the part that holds the frame to it, cut to the box."""
    import cv2

    count, high, wide = prototypes.shape
    masks = np.zeros((len(boxes), placement.height, placement.width), bool)
    # A pixel centre of the frame looks up its place among the pixel centres of the prototypes.
    share = np.array([wide / placement.canvas[1], high / placement.canvas[0]])
    ratio = placement.scale * share
    offset = np.array([placement.left, placement.top]) * share + ratio / 2 - 0.5
    matrix = np.array([[ratio[0], 0, offset[0]], [0, ratio[1], offset[1]]])
    sums = (coefficients @ prototypes.reshape(count, -1)).reshape(-1, high, wide).astype(np.float32)
    for mask, logits, box in zip(masks, sums, boxes, strict=True):
        scaled = cv2.warpAffine(
            logits,
            matrix,
            (placement.width, placement.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        x1, y1, x2, y2 = np.array([np.floor(box[0]), np.floor(box[1]), np.ceil(box[2]), np.ceil(box[3])], int)
        mask[y1:y2, x1:x2] = scaled[y1:y2, x1:x2] > 0
    return masks
