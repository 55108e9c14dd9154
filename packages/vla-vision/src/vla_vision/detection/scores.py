"""How good detections are: average precision as COCO defines it, and recall whatever the class is called.

Notable features:
- AP over 101 recall levels, each the best precision at that recall or beyond (Lin et al. 2014,
  arXiv:1405.0312)
- greedy matching, most confident first, each to the free truth it overlaps most
- classes without a true box do not count
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vla_data.errors import DataError
from vla_vision.tracking.association import overlaps
from vla_vision.types import Detections

MOST = 10  # detections of a picture that `recall_of_ten` counts
THRESHOLDS = np.arange(0.5, 1.0, 0.05)
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DetectionScores:
    """Scores over all frames.

    Args:
        map50: mean over classes of the average precision at an overlap of 0.5.
        map50_95: the same, averaged over overlaps 0.5, 0.55, … 0.95.
        precision, recall: at overlap 0.5 and the confidence where their harmonic mean is best.
        confidence: that confidence.
        recall_any_class: share of true boxes that a detection overlaps by half, one to one, whatever class it
            says: recall at the confidence that is best for this, which is another where classes are mixed up.
        recall_of_ten: the same of the ten most confident detections of each picture, which is COCO's average
            recall (AR@10) at overlap 0.5, blind to class.
        by_class: name → (AP at 0.5, AP over 0.5 … 0.95, true boxes).
        frames, truths: how much was looked at.
    """

    map50: float
    map50_95: float
    precision: float
    recall: float
    confidence: float
    recall_any_class: float
    recall_of_ten: float
    by_class: dict[str, tuple[float, float, int]]
    frames: int
    truths: int


def score_detections(found: Sequence[Detections], truth: Sequence[Detections]) -> DetectionScores:
    """Scores of detections against true boxes (their scores are ignored), frame by frame.

    Classes are compared by name where both sides have names, else by number. For AP to mean what it does
    elsewhere the detections have to hold low confidences too (`DetectOptions(score=0.001)`).

    Raises:
        DataError: the numbers of frames differ.
    """
    if len(found) != len(truth):
        raise DataError(
            "detections and truths are of different frames",
            expected=f"{len(truth)} frames",
            got=f"{len(found)} frames",
        )
    names = _names(found, truth)
    pairs = [(_renamed(f, names), _renamed(t, names)) for f, t in zip(found, truth, strict=True)]
    scores, classes, hits = _matched(pairs, by_class=True)
    true_classes = np.concatenate([t for _, (_, _, t) in pairs] or [np.zeros(0, np.int64)])
    by_class = {}
    for c in np.unique(true_classes):
        mine = classes == c
        ap = _average_precision(scores[mine], hits[mine], int((true_classes == c).sum()))
        by_class[names[c]] = (float(ap[0]), float(ap.mean()), int((true_classes == c).sum()))
    precision, recall, confidence = _best_point(scores, hits[:, 0], len(true_classes))
    any_scores, _, any_hits = _matched(pairs, by_class=False)
    return DetectionScores(
        _mean([v[0] for v in by_class.values()]),
        _mean([v[1] for v in by_class.values()]),
        precision,
        recall,
        confidence,
        _best_point(any_scores, any_hits[:, 0], len(true_classes))[1],
        _recall_of_ten(pairs),
        by_class,
        len(pairs),
        len(true_classes),
    )


_Plain = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes, scores, classes as indices of the common names


def _names(found: Sequence[Detections], truth: Sequence[Detections]) -> list[str]:
    """Every class name of either side; numbers as text where a side has no names."""
    names: dict[str, None] = {}
    for detections in (*truth, *found):
        names.update(
            dict.fromkeys(
                detections.class_names or map(str, range(int(detections.classes.max(initial=-1)) + 1))
            )
        )
    return list(names)


def _renamed(detections: Detections, names: list[str]) -> _Plain:
    own = detections.class_names or tuple(map(str, range(int(detections.classes.max(initial=-1)) + 1)))
    table = np.array([names.index(n) for n in own] or [0], np.int64)
    return detections.boxes, detections.scores, table[detections.classes]


def _matched(
    pairs: Sequence[tuple[_Plain, _Plain]], by_class: bool
) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, "n thresholds"]]:
    """Scores, classes and whether each detection is right at each threshold, over all frames."""
    scores, classes, hits = (
        [np.zeros(0, np.float32)],
        [np.zeros(0, np.int64)],
        [np.zeros((0, len(THRESHOLDS)), bool)],
    )
    for (boxes, score, kind), (true_boxes, _, true_kind) in pairs:
        order = np.argsort(-score, kind="stable")
        iou = overlaps(boxes[order], true_boxes)
        if by_class:
            iou = np.where(kind[order][:, None] == true_kind[None], iou, 0)
        scores.append(score[order])
        classes.append(kind[order])
        hits.append(np.stack([_greedy(iou, t) for t in THRESHOLDS], axis=1))
    return np.concatenate(scores), np.concatenate(classes), np.concatenate(hits)


def _greedy(iou: np.ndarray, threshold: float) -> np.ndarray:
    """Whether each row, in order, gets a column of its own that it overlaps enough."""
    right, free = np.zeros(len(iou), bool), np.ones(iou.shape[1], bool)
    for i in np.flatnonzero(iou.max(axis=1, initial=0) >= threshold):
        best = int(np.argmax(np.where(free, iou[i], -1)))
        if free[best] and iou[i, best] >= threshold:
            right[i], free[best] = True, False
    return right


def _recall_of_ten(pairs: Sequence[tuple[_Plain, _Plain]]) -> float:
    """Found by the most confident detections of each picture."""
    found = truths = 0
    for (boxes, score, _), (true_boxes, _, _) in pairs:
        first = np.argsort(-score, kind="stable")[:MOST]
        found += int(_greedy(overlaps(boxes[first], true_boxes), THRESHOLDS[0]).sum())
        truths += len(true_boxes)
    return found / max(1, truths)


def _average_precision(
    scores: np.ndarray, hits: Bool[np.ndarray, "n thresholds"], truths: int
) -> Float64[np.ndarray, "thresholds"]:
    order = np.argsort(-scores, kind="stable")
    right = hits[order].cumsum(axis=0)
    recall = right / max(1, truths)
    precision = right / np.arange(1, len(order) + 1)[:, None]
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    found = np.zeros(len(THRESHOLDS))
    for t in range(len(THRESHOLDS)):
        index = np.searchsorted(recall[:, t], RECALLS, side="left")
        found[t] = np.where(index < len(order), np.append(best[:, t], 0.0)[index], 0).mean()
    return found


def _best_point(scores: np.ndarray, hits: np.ndarray, truths: int) -> tuple[float, float, float]:
    """Precision, recall and confidence where their harmonic mean is best; zeros without detections."""
    if not len(scores) or not truths:
        return 0.0, 0.0, 0.0
    order = np.argsort(-scores, kind="stable")
    right = hits[order].cumsum()
    precision, recall = right / np.arange(1, len(order) + 1), right / truths
    harmonic = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    whole = np.append(scores[order][1:] < scores[order][:-1], True)  # a confidence takes all that share it
    best = int(np.argmax(np.where(whole, harmonic, -1)))
    return float(precision[best]), float(recall[best]), float(scores[order][best])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
