"""All tracks of a tracker as one table, a row each, and what can happen to a row."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from vla_vision.tracking.gallery import Gallery
from vla_vision.tracking.motion import BoxStates, MotionConfig
from vla_vision.types import Detections


@dataclass(eq=False)
class TrackTable:
    """Rows of tracks.

    A row is tentative until `confirmed`, lost while `misses` > 0. `ids` are 0 until confirmed.
    `detection` is the index of the detection it had in this frame, -1 for none.
    """

    states: BoxStates
    gallery: Gallery
    ids: np.ndarray
    confirmed: np.ndarray
    hits: np.ndarray
    misses: np.ndarray
    ages: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    detection: np.ndarray

    @classmethod
    def empty(cls, views: int, width: int) -> TrackTable:
        """No track."""
        whole = [np.zeros(0, np.int64) for _ in range(6)]
        ids, hits, misses, ages, classes, detection = whole
        yes, scores = np.zeros(0, bool), np.zeros(0, np.float32)
        gallery = Gallery.empty(views, width)
        return cls(BoxStates.empty(), gallery, ids, yes, hits, misses, ages, scores, classes, detection)

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, index: np.ndarray) -> TrackTable:
        """The rows that an index picks."""
        rows: dict[str, Any] = {f.name: _rows(getattr(self, f.name), index) for f in fields(self)}
        return TrackTable(**rows)

    def hit(self, rows: np.ndarray, seen: Detections, chosen: np.ndarray, motion: MotionConfig) -> None:
        """The tracks `rows` are the detections `chosen`."""
        self.states.update(rows, seen.boxes[chosen], motion)
        self.hits[rows] += 1
        self.misses[rows] = 0
        self.scores[rows] = seen.scores[chosen]
        self.classes[rows] = seen.classes[chosen]
        self.detection[rows] = chosen

    def grow(
        self, seen: Detections, chosen: np.ndarray, looks: np.ndarray, motion: MotionConfig
    ) -> TrackTable:
        """The table with a tentative row for each detection `chosen`."""
        n = len(chosen)
        return TrackTable(
            self.states.join(BoxStates.start(seen.boxes[chosen], motion)),
            self.gallery.grow(looks[chosen]),
            np.concatenate([self.ids, np.zeros(n, np.int64)]),
            np.concatenate([self.confirmed, np.zeros(n, bool)]),
            np.concatenate([self.hits, np.ones(n, np.int64)]),
            np.concatenate([self.misses, np.zeros(n, np.int64)]),
            np.concatenate([self.ages, np.zeros(n, np.int64)]),
            np.concatenate([self.scores, seen.scores[chosen]]),
            np.concatenate([self.classes, seen.classes[chosen]]),
            np.concatenate([self.detection, chosen]),
        )


def _rows(column: Any, index: np.ndarray) -> Any:
    return column.select(index) if isinstance(column, (BoxStates, Gallery)) else column[index]
