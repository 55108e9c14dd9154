"""The cascade of matchings of one frame, each among what the ones before left over.

1. confirmed tracks, lost ones too, with detections of high score: widened overlap, weighed with appearance
2. what is still free, by appearance alone or, without one, by distance: far but within the gate
3. tracks seen in the last frame with detections of low score, by overlap
4. tentative tracks with detections of high score, by overlap
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Int64

from vla_vision.tracking.association import FORBIDDEN, assign, overlaps
from vla_vision.tracking.config import TrackerConfig
from vla_vision.tracking.gallery import LookScale
from vla_vision.tracking.table import TrackTable
from vla_vision.types import Detections

Index = Int64[np.ndarray, "_"]
Cost = Float[np.ndarray, "_ _"]


class Matcher:
    """Matches a table of predicted tracks with the detections of one frame.

    After `run`, `left` holds the detections of high score that no track took. `overlap` and `look_distance`
    [tracks, detections] stay at hand.
    """

    def __init__(
        self,
        config: TrackerConfig,
        table: TrackTable,
        seen: Detections,
        looks: Float32[np.ndarray, "m e"],
        scale: LookScale,
    ) -> None:
        self.config, self.table, self.seen = config, table, seen
        self.boxes = table.states.boxes()
        self.left = np.flatnonzero(seen.scores >= config.high_score)
        self.overlap = overlaps(self.boxes, seen.boxes)
        self.distance = table.states.distances(seen.boxes, config.motion)
        self.extra = (table.classes[:, None] != seen.classes[None]) * config.class_penalty
        self.look_distance = table.gallery.distances(looks) if looks.shape[1] else None
        self.look = None if self.look_distance is None else scale.rescale(self.look_distance)
        if self.look is not None:  # a look that could not be had says nothing
            self.look[:, ~looks.any(axis=1)] = np.nan
            self.look[~table.gallery.known()] = np.nan
        self.rows: list[Index] = []
        self.chosen: list[Index] = []

    def run(self) -> tuple[Index, Index]:
        """(rows of the table, detections) that belong together."""
        c, table = self.config, self.table
        young = np.flatnonzero(~table.confirmed)
        free = np.flatnonzero(table.confirmed)
        free = self._match(free, self._near, 1 - c.min_overlap)
        free = self._match(free, self._again, 1.0)
        self._match_low(free[table.misses[free] == 1])
        self._match(young, self._near, 1 - c.tentative_overlap)
        none = np.zeros(0, np.int64)
        return np.concatenate([none, *self.rows]), np.concatenate([none, *self.chosen])

    def _match(self, rows: Index, cost: Callable[[Index], Cost], limit: float) -> Index:
        """Match tracks with the detections of high score that are left; the tracks that stay free."""
        if not len(rows) or not len(self.left):
            return rows
        free, self.left = self._take(rows, self.left, cost(rows), limit)
        return free

    def _match_low(self, rows: Index) -> None:
        """Match tracks with the detections of low score."""
        low = np.flatnonzero(self.seen.scores < self.config.high_score)
        if len(rows) and len(low):
            self._take(rows, low, 1 - self.overlap[np.ix_(rows, low)], 1 - self.config.low_overlap)

    def _take(self, rows: Index, detections: Index, cost: Cost, limit: float) -> tuple[Index, Index]:
        r, d = assign(cost + self.extra[np.ix_(rows, detections)], limit)
        self.rows.append(rows[r])
        self.chosen.append(detections[d])
        return np.delete(rows, r), np.delete(detections, d)

    def _near(self, rows: Index) -> Cost:
        """Cost by overlap times score, and by look where there is one; far pairs are forbidden."""
        pairs = np.ix_(rows, self.left)
        cost = 1 - self._widened(rows, self.left) * self.seen.scores[self.left]
        if self.look is not None:
            weight = self.config.appearance.weight
            unlike = self.look[pairs].clip(-1, 2) - self.config.appearance.pivot
            cost = cost + weight * np.nan_to_num(unlike)
        return cost + (self.distance[pairs] > self.config.gate) * FORBIDDEN

    def _again(self, rows: Index) -> Cost:
        """Cost of meeting a track again away from where it was expected; up to 1."""
        pairs, c = np.ix_(rows, self.left), self.config
        distance = self.distance[pairs] / c.rejoin_gate
        if self.look is None:
            return distance
        look = self.look[pairs] / c.appearance.limit
        return np.where((distance > 1) | np.isnan(look), FORBIDDEN, look)

    def _widened(self, rows: Index, detections: Index) -> Cost:
        return overlaps(self.boxes[rows], self.seen.boxes[detections], self.config.buffer)
