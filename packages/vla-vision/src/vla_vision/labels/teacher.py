"""Labels for episodes that have none: a detector's finds, as far as they can be followed over time.

A detection is believed when its track has `min_track` of them. Short gaps of a believed track are filled by
moving the box evenly; its class is that which most of its detections say, by the sum of their scores.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from vla_data.types import Episode, ImageSequence
from vla_vision.labels.config import LabelConfig
from vla_vision.labels.truth import FrameLabels, LabelCounts
from vla_vision.types import Detections, Detector, Frame, Tracks

BATCH = 8  # frames in one call of the detector
LEAST_SCORE = 0.1  # continues a track that a better detection began


@runtime_checkable
class Follower(Protocol):
    """Gives detections identities, frame by frame, as `vla_vision.tracking.Tracker` does."""

    def update(self, detections: Detections, image: Frame | None = None) -> Tracks: ...


def _tracker(score: float) -> Follower:
    from vla_vision.tracking.config import TrackerConfig
    from vla_vision.tracking.tracker import Tracker

    low = min(LEAST_SCORE, score)
    return Tracker(TrackerConfig(high_score=score, new_score=score, low_score=low, confirm_hits=1))


@dataclass(frozen=True)
class Teacher:
    """What pseudo-labels come from.

    Args:
        detector: finds objects; should report scores down to 0.1.
        follower: a new tracker for the least score that begins a track.
    """

    detector: Detector
    follower: Callable[[float], Follower] = _tracker


@dataclass
class _Track:
    """The detections of one object: frame → box and score, and what they say it is."""

    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    votes: dict[int, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def kind(self) -> int:
        return max(sorted(self.votes), key=lambda k: self.votes[k])


def teacher_labels(
    episode: Episode,
    camera: str,
    class_names: Sequence[str],
    teacher: Teacher,
    config: LabelConfig | None = None,
    counts: LabelCounts | None = None,
) -> list[FrameLabels]:
    """The pseudo-labels of one camera, of every `config.every`-th frame.

    Args:
        class_names: those of the detector that count, in the order of their numbers.
        counts: what is left out or filled in is added here.

    Raises:
        DataError: a frame cannot be decoded.
    """
    config, counts = config or LabelConfig(), counts or LabelCounts()
    steps = range(0, len(episode), config.every)
    tracks = _follow(episode.images[camera], steps, class_names, teacher, config, counts)
    believed = []
    for track in tracks:
        if len(track.boxes) < config.min_track:
            counts.fleeting += len(track.boxes)
        else:
            counts.filled += _fill(track, config.max_gap)
            believed.append(track)
    return [_frame(i, step, believed, class_names, config, counts) for i, step in enumerate(steps)]


def _follow(
    images: ImageSequence,
    steps: range,
    class_names: Sequence[str],
    teacher: Teacher,
    config: LabelConfig,
    counts: LabelCounts,
) -> list[_Track]:
    """Every track, in the order in which they begin."""
    follower, tracks = teacher.follower(config.score), dict[int, _Track]()
    for i, image, found in _detect(images, steps, teacher.detector):
        found = _of_classes(found, class_names, counts)
        seen = follower.update(found, image)
        for ident, which in zip(seen.ids.tolist(), seen.detections.tolist(), strict=True):
            if which >= 0:
                track = tracks.setdefault(ident, _Track())
                track.boxes[i], track.scores[i] = found.boxes[which], float(found.scores[which])
                track.votes[int(found.classes[which])] += float(found.scores[which])
    return list(tracks.values())


def _detect(
    images: ImageSequence, steps: range, detector: Detector
) -> Iterator[tuple[int, Frame, Detections]]:
    for start in range(0, len(steps), BATCH):
        batch = [images[step] for step in steps[start : start + BATCH]]
        for i, (image, found) in enumerate(zip(batch, detector.detect(batch), strict=True), start):
            yield i, image, found


def _of_classes(found: Detections, class_names: Sequence[str], counts: LabelCounts) -> Detections:
    """The detections of classes that count, with their numbers among `class_names`."""
    numbers = {name: i for i, name in enumerate(class_names)}
    mapped = np.array([numbers.get(found.class_names[c], -1) for c in found.classes], np.int64)
    counts.other_class += int((mapped < 0).sum())
    keep = mapped >= 0
    return Detections(found.boxes[keep], found.scores[keep], mapped[keep], tuple(class_names))


def _fill(track: _Track, max_gap: int) -> int:
    """Put boxes into gaps of at most `max_gap` frames; their number."""
    filled = 0
    for before, after in pairwise(sorted(track.boxes)):
        if 0 < after - before - 1 <= max_gap:
            for i in range(before + 1, after):
                part = np.float32((i - before) / (after - before))
                track.boxes[i] = (1 - part) * track.boxes[before] + part * track.boxes[after]
                track.scores[i] = min(track.scores[before], track.scores[after])
                filled += 1
    return filled


def _frame(
    i: int,
    step: int,
    tracks: Sequence[_Track],
    class_names: Sequence[str],
    config: LabelConfig,
    counts: LabelCounts,
) -> FrameLabels:
    here = [(ident, t) for ident, t in enumerate(tracks, 1) if i in t.boxes]
    boxes = np.array([t.boxes[i] for _, t in here], np.float32).reshape(-1, 4)
    large = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1) >= config.min_pixels
    counts.tiny += int((~large).sum())
    scores = np.array([t.scores[i] for _, t in here], np.float32)
    kinds = np.array([t.kind for _, t in here], np.int64)
    objects = Detections(boxes, scores, kinds, tuple(class_names)).select(large)
    return FrameLabels(step, np.array([ident for ident, _ in here], np.int64)[large], objects)
