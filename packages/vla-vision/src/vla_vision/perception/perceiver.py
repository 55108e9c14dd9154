"""The integrated loop, a frame at a time: detect, describe, track, depth, flow, motion in space.

Depth that a thread looks at arrives some frames later. It is measured on the boxes and the pose of the frame
it was seen in; for the present frame the filter says what follows from that (`VelocityFilter.expected`).
Frames without depth between do the same, so a late depth is late but never wrong.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np

from vla_data.errors import DataError
from vla_vision.depth.smoothing import DepthSmoother
from vla_vision.perception.config import PerceiveConfig
from vla_vision.perception.percept import Percept
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking.loop import Pipeline, track_frame
from vla_vision.tracking.sources import SourceFrame
from vla_vision.tracking.tracker import Tracker
from vla_vision.types import DepthMap, DepthModel, Detector, Embedder, Tracks
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.filter import Velocities, VelocityFilter
from vla_vision.velocity.flow import DenseFlow
from vla_vision.velocity.lifting import object_depths, require_intrinsics

IN_THREAD = "depth, in its thread"


@dataclass(frozen=True, eq=False)
class Models:
    """What looks at frames; what is None is left out.

    Without a detector, frames must bring detections; without a depth model, the depth that frames bring is
    taken.
    """

    detector: Detector | None = None
    depth: DepthModel | None = None
    embedder: Embedder | None = None


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame whose depth is looked at: what has to be remembered of it."""

    frame: SourceFrame
    tracks: Tracks
    count: int


class Perceiver:
    """Perceives one video, frame by frame; `reset` begins another.

    Args:
        models: see `Models`.
        config: see `PerceiveConfig`.
        intrinsics: of the camera as `Camera` has them (pixels count from the centre of the first one); None:
            nothing is placed in space.
        size: (height, width) of the frames, where it is known beforehand.

    Raises:
        DataError: the intrinsics cannot be used.
    """

    def __init__(
        self,
        models: Models,
        config: PerceiveConfig | None = None,
        intrinsics: object | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.models, self.config = models, config or PerceiveConfig()
        self._pipeline = Pipeline(Tracker(self.config.tracker, size), models.detector, models.embedder)
        self._flow = DenseFlow(self.config.flow) if self.config.flow is not None else None
        self._smoother = DepthSmoother(self.config.smoothing) if self.config.smoothing is not None else None
        self._focal: float | None = None
        self._filter: VelocityFilter | None = None
        if intrinsics is not None:
            camera = require_intrinsics(intrinsics).copy()
            self._focal = float(camera[1, 1])
            camera[:2, 2] += 0.5  # boxes count from the corner of the first pixel
            self._filter = VelocityFilter(camera, _noise_of(self.config.velocity, models.depth is not None))
        self._thread = ThreadPoolExecutor(1) if self.config.depth_async and models.depth is not None else None
        self.watch = Stopwatch()
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def tracker(self) -> Tracker:
        """Which knows how many identities it gave, and what it refused."""
        return self._pipeline.tracker

    def close(self) -> None:
        """End the thread of depth, once it is done with the frame it looks at."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def reset(self) -> None:
        """Forget everything: the next frame is the first of another video of the same camera."""
        self._pipeline.tracker.reset()
        for part in (self._flow, self._smoother, self._filter):
            if part is not None:
                part.reset()
        if self._looking is not None:
            self._looking[1].cancel()
        self._forget()

    def _forget(self) -> None:
        self._count = 0
        self._looking: tuple[_Seen, Future[DepthMap]] | None = None
        self._depth: DepthMap | None = None
        self._depth_count = 0

    def update(self, frame: SourceFrame) -> Percept:
        """The next frame, perceived.

        Raises:
            ConfigError: the frame has no detections and there is no detector.
            DataError: the size of frames changes, time stands still, a pose is not rigid; or the depth model
                or detector fails.
        """
        found, tracks = track_frame(frame, self._pipeline, self.watch)
        flow = self._flow.update(frame.image) if self._flow is not None and frame.image is not None else None
        self.watch.lap("flow")
        measured = self._look(_Seen(frame, tracks, self._count))
        self.watch.lap("depth")
        velocities = self._move(frame, tracks, measured)
        depths = None
        if self._depth is not None:
            depths = object_depths(self._depth.values, tracks.boxes, None, self._range())
        self.watch.lap("velocity")
        age = self._count - self._depth_count if self._depth is not None else 0
        self._count += 1
        seen = (frame.index, frame.time, frame.image, found, tracks)
        return Percept(*seen, self._depth, age, depths, flow, velocities, frame.pose)

    def _range(self) -> VelocityConfig:
        """Depths that count: of relative depth, every finite one."""
        config = self.config.velocity
        relative = self._depth is not None and self._depth.kind == "relative"
        if not relative:
            return config
        largest = float(np.finfo(np.float32).max)  # of relative depth, what is larger is nearer
        return replace(config, nearest=-np.inf, farthest=largest, quantile=1 - config.quantile)

    def _look(self, seen: _Seen) -> _Seen | None:
        """Have depth looked at where it is due; the frame whose depth has just become known, if any."""
        due = self._count % self.config.depth_every == 0
        if self.models.depth is None:
            if seen.frame.depth is None or not due:
                return None
            return self._take(seen, DepthMap(np.asarray(seen.frame.depth, np.float32), "metric"))
        if self._thread is None:
            return self._take(seen, self._infer(seen)) if due else None
        arrived = None
        if self._looking is not None and self._looking[1].done():
            arrived = self._take(self._looking[0], self._looking[1].result())
            self._looking = None
        if self._looking is None and due:
            self._looking = seen, self._thread.submit(self._infer, seen)
            if self._depth is None:  # nothing is known yet: the first frame waits
                arrived, self._looking = self._take(seen, self._looking[1].result()), None
        return arrived

    def _infer(self, seen: _Seen) -> DepthMap:
        image = seen.frame.image
        if self.models.depth is None or image is None:
            raise DataError(
                "there is no picture to tell depth from",
                where=f"frame {seen.frame.index}",
                expected="frames with images",
                got="detections alone",
                next_step="give the video they were made from, or leave out the depth model",
            )
        began = time.perf_counter()
        depth = self.models.depth.infer([image], self._focal)[0]
        if self._thread is not None:
            self.watch.laps.setdefault(IN_THREAD, []).append(time.perf_counter() - began)
        return depth

    def _take(self, seen: _Seen, depth: DepthMap) -> _Seen:
        if self._smoother is not None and seen.frame.image is not None:
            depth = self._smoother.update(depth, seen.frame.image)
        self._depth, self._depth_count = depth, seen.count
        return seen

    def _move(self, frame: SourceFrame, tracks: Tracks, measured: _Seen | None) -> Velocities | None:
        """Motion in space, for metric depth and a known camera."""
        if self._filter is None or self._depth is None or self._depth.kind != "metric":
            return None
        if measured is None:
            return self._filter.expected(frame.time, tracks.ids)
        then = measured.frame
        said = self._filter.update(then.time, measured.tracks, self._depth.values, then.pose)
        return said if then is frame else self._filter.expected(frame.time, tracks.ids)


def _noise_of(config: VelocityConfig, network: bool) -> VelocityConfig:
    """The configuration for depth of a network, or of a sensor."""
    if not network or config.network_noise is None:
        return config
    return replace(config, depth_noise=config.network_noise)
