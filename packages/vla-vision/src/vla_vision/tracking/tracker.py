"""DeepSORT with what has been learned since: which detection is which thing, frame after frame.

Notable features:
- Kalman motion, appearance galleries, a gated cascade of matchings, and a life of tentative, confirmed, lost
  and removed, as in DeepSORT (Wojke et al. 2017, arXiv:1703.07402)
- detections of low score continue a track but begin none, as in ByteTrack (Zhang et al. 2022,
  arXiv:2110.06864)
- overlap is taken between widened boxes (C-BIoU), the camera's own motion is taken out (BoT-SORT,
  Aharon et al. 2022, arXiv:2206.14651)
- all tracks are rows of one table: a frame costs some array operations, not a loop over objects
- the same frames give the same tracks: nothing is random, nothing looks at a clock
"""

from __future__ import annotations

import numpy as np

from vla_data.errors import DataError
from vla_vision.tracking.association import coverage, overlaps
from vla_vision.tracking.camera_motion import CameraMotion
from vla_vision.tracking.cleaning import Refused, clean
from vla_vision.tracking.config import TrackerConfig
from vla_vision.tracking.gallery import LookScale, normalised
from vla_vision.tracking.matching import Matcher
from vla_vision.tracking.table import TrackTable
from vla_vision.types import Detections, Frame, Tracks


class Tracker:
    """Gives the detections of one video identities, frame by frame.

    Args:
        config: see `TrackerConfig`.
        size: (height, width) of the frames; without it, it is taken from the first image.
    """

    def __init__(self, config: TrackerConfig | None = None, size: tuple[int, int] | None = None) -> None:
        self.config = config or TrackerConfig()
        self._given_size = size
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a video, the next identity 1."""
        look = self.config.appearance
        self.frame, self.refused = 0, Refused()
        self._size = self._given_size
        self._next_id = 1
        self._table = TrackTable.empty(look.views, 0)
        self._scale = LookScale(look.same, look.other)
        self._camera = CameraMotion(self.config.camera)

    def update(self, detections: Detections, image: Frame | None = None) -> Tracks:
        """One frame on.

        Args:
            detections: of this frame, in any order. Embeddings are used where there are any.
            image: the frame, for the camera's motion; without one the camera is taken to stand still.

        Raises:
            DataError: the frame's size or the width of embeddings has changed.
        """
        self.frame += 1
        if image is not None:
            self._require_size(image)
        c = self.config
        seen, given = clean(detections, self._size, c.low_score, c.max_detections, self.refused)
        looks = self._looks(seen)
        self._predict(image, seen)
        matcher = Matcher(c, self._table, seen, looks, self._scale)
        rows, chosen = matcher.run()
        self._learn(seen, looks, rows, chosen, matcher)
        self._table.hit(rows, seen, chosen, c.motion)
        self._live(seen, looks, matcher.left)
        return self._report(given, detections.class_names)

    @property
    def identities(self) -> int:
        """Tracks that were given an identity so far."""
        return self._next_id - 1

    def _require_size(self, image: Frame) -> None:
        size = image.shape[:2]
        if self._size is not None and size != self._size:
            raise DataError(
                "the size of frames changes",
                where=f"frame {self.frame}",
                expected=f"{self._size[1]}×{self._size[0]} pixels",
                got=f"{size[1]}×{size[0]}",
                next_step="scale all frames to one size, or reset the tracker where another video begins",
            )
        self._size = size

    def _looks(self, seen: Detections) -> np.ndarray:
        """Embeddings of length 1; [N, 0] where appearance is not used."""
        given = seen.embeddings if self.config.use_appearance else None
        looks = np.zeros((len(seen), 0), np.float32) if given is None else normalised(given)
        known = self._table.gallery.width
        if not len(self._table):
            self._table = TrackTable.empty(self.config.appearance.views, looks.shape[1])
        elif known != looks.shape[1] and len(seen):
            raise DataError(
                "the width of embeddings changes",
                where=f"frame {self.frame}",
                expected=f"{known} numbers each",
                got=str(looks.shape[1]),
                next_step="use one embedder for the whole video, or reset the tracker",
            )
        return looks if len(seen) else np.zeros((0, known), np.float32)

    def _predict(self, image: Frame | None, seen: Detections) -> None:
        table = self._table
        table.states.predict(table.misses > 0, self.config.motion)
        affine = self._camera.update(image, seen.boxes)
        if affine is not None and len(table):
            table.states.warp(affine)
        table.ages += 1
        table.misses += 1
        table.detection[:] = -1

    def _learn(
        self, seen: Detections, looks: np.ndarray, rows: np.ndarray, chosen: np.ndarray, matcher: Matcher
    ) -> None:
        """Remember how matched tracks look, where they are seen clearly, and what looking alike means."""
        if matcher.look_distance is None or not len(seen):
            return
        config = self.config.appearance
        clear = (coverage(seen.boxes) <= config.clear) & (seen.scores >= self.config.high_score)
        self._scale.learn_other(looks[clear])
        sure = clear[chosen] & (matcher.overlap[rows, chosen] >= self.config.sure_overlap)
        self._scale.learn_same(matcher.look_distance[rows[sure], chosen[sure]])
        known = clear[chosen]
        self._table.gallery.remember(rows[known], looks[chosen[known]], config)

    def _live(self, seen: Detections, looks: np.ndarray, left: np.ndarray) -> None:
        """Confirm, remove and begin tracks."""
        c, table = self.config, self._table
        table.misses[table.detection >= 0] = 0
        wanted = 1 if self.frame == 1 else c.confirm_hits
        new = left[seen.scores[left] >= c.new_score]
        new = self._apart(seen, new)
        keep = np.where(table.confirmed, table.misses <= c.max_lost, table.misses <= c.tentative_misses)
        if not keep.all():
            table = table.select(keep)
        if len(new):
            table = table.grow(seen, new, looks, c.motion)
        risen = np.flatnonzero(~table.confirmed & (table.hits >= wanted))
        table.confirmed[risen] = True
        table.ids[risen] = self._next_id + np.arange(len(risen))
        self._next_id += len(risen)
        self._table = table

    def _apart(self, seen: Detections, new: np.ndarray) -> np.ndarray:
        """New detections that are not a second box around a thing already tracked."""
        taken = self._table.detection[self._table.detection >= 0]
        if not len(new) or not len(taken):
            return new
        near = overlaps(seen.boxes[new], seen.boxes[taken]).max(axis=1)
        return new[near < self.config.duplicate_overlap]

    def _report(self, given: np.ndarray, class_names: tuple[str, ...]) -> Tracks:
        table = self._table
        shown = table.select(table.confirmed & (table.misses <= self.config.coast))
        seen = shown.detection >= 0
        detections = np.full(len(shown), -1, np.int64)
        detections[seen] = given[shown.detection[seen]]
        return Tracks(
            shown.ids,
            shown.states.boxes(),
            shown.scores,
            shown.classes,
            shown.ages,
            detections,
            shown.states.speed[:, :2].astype(np.float32),
            class_names,
        )
