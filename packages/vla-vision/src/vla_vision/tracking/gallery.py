"""How tracks look: a few remembered embeddings a track, and what a distance between two looks means.

Notable features:
- per track the last few clear views, and one slow average; a detection is compared to the nearest of them
- what "near" means differs from embedding to embedding, so it is learned as the video runs: the usual
  distance of a track to its own next view, and the usual distance of two things seen in one frame. A
  rescaled distance of 0 is as alike as a thing is to itself, 1 as unlike as two things are
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Embeddings = Float32[np.ndarray, "_ e"]
PRIOR_WEIGHT = 20.0  # observations the first guess counts for


@dataclass(frozen=True)
class AppearanceConfig:
    """How looks are remembered and weighed.

    Args:
        views: last clear views kept of each track.
        every: frames between two views that are kept.
        momentum: of the slow average.
        clear: largest share of a box that another box may cover for its look to be remembered.
        weight: of appearance in the cost of a pair, beside overlap.
        pivot: rescaled distance that makes a pair neither cheaper nor dearer.
        limit: largest rescaled distance at which a pair may be matched by appearance.
        same, other: first guess of the cosine distance of a thing to itself and to another.
    """

    views: int = 4
    every: int = 3
    momentum: float = 0.9
    clear: float = 0.3
    weight: float = 0.4
    pivot: float = 0.4
    limit: float = 0.6
    same: float = 0.1
    other: float = 0.4


@dataclass(eq=False)
class Gallery:
    """Views [N, views + 1, E] of length 1, or zeros where nothing is remembered; the last is the average."""

    views: np.ndarray
    count: np.ndarray
    seen: np.ndarray

    @classmethod
    def empty(cls, views: int, width: int) -> Gallery:
        """No track."""
        return cls(np.zeros((0, views + 1, width), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))

    @property
    def width(self) -> int:
        return self.views.shape[2]

    def select(self, index: np.ndarray) -> Gallery:
        """The tracks that an index picks."""
        return Gallery(self.views[index], self.count[index], self.seen[index])

    def grow(self, embeddings: Embeddings) -> Gallery:
        """Further tracks, each known by one view."""
        n, slots = len(embeddings), self.views.shape[1]
        added = np.zeros((n, slots, self.width), np.float32)
        added[:, 0] = added[:, -1] = embeddings
        return Gallery(
            np.concatenate([self.views, added]),
            np.concatenate([self.count, np.ones(n, np.int64)]),
            np.concatenate([self.seen, np.zeros(n, np.int64)]),
        )

    def known(self) -> np.ndarray:
        """bool [N]: whether anything is remembered."""
        return np.asarray(self.views[:, -1].any(axis=1))

    def distances(self, embeddings: Embeddings) -> Float32[np.ndarray, "_ _"]:
        """Cosine distance of every track to every detection, to the nearest of its views."""
        n, slots, width = self.views.shape
        near = (self.views.reshape(-1, width) @ embeddings.T).reshape(n, slots, len(embeddings))
        return 1.0 - near.max(axis=1, initial=-1.0)

    def remember(self, rows: np.ndarray, embeddings: Embeddings, config: AppearanceConfig) -> None:
        """Add the looks of the tracks `rows`, where a look is at hand (a row that is not all zeros)."""
        known = embeddings.any(axis=1)
        rows, embeddings = rows[known], embeddings[known]
        average = config.momentum * self.views[rows, -1] + (1 - config.momentum) * embeddings
        self.views[rows, -1] = normalised(average)
        self.seen[rows] += 1
        due = (self.seen[rows] % config.every == 0) | (self.count[rows] == 0)
        rows, embeddings = rows[due], embeddings[due]
        self.views[rows, self.count[rows] % (self.views.shape[1] - 1)] = embeddings
        self.count[rows] += 1


@dataclass(eq=False)
class LookScale:
    """Running means of the two usual distances."""

    same: float
    other: float
    same_count: float = PRIOR_WEIGHT
    other_count: float = PRIOR_WEIGHT

    def rescale(self, distances: np.ndarray) -> np.ndarray:
        """0 where as alike as a thing to itself, 1 where as unlike as two things."""
        return (distances - self.same) / max(self.other - self.same, 1e-3)

    def learn_same(self, distances: np.ndarray) -> None:
        """Distances of tracks to detections that surely are theirs."""
        self.same_count += len(distances)
        self.same += (distances - self.same).sum() / self.same_count

    def learn_other(self, embeddings: Embeddings) -> None:
        """Embeddings of one frame: all of them of different things."""
        n = len(embeddings)
        if n < 2:
            return
        near = embeddings @ embeddings.T
        mean = 1.0 - (near.sum() - np.trace(near)) / (n * (n - 1))
        self.other_count += n - 1
        self.other += (mean - self.other) * (n - 1) / self.other_count


def normalised(rows: np.ndarray) -> Embeddings:
    """Rows scaled to length 1; rows of zeros or with NaN become zeros, which match nothing well."""
    rows = np.asarray(rows, np.float32)
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
