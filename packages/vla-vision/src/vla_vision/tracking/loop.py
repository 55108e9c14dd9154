"""One pass over a source: detect where needed, describe, track, write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from vla_data.errors import ConfigError, DataError
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_vision.perception.percept import Percept
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking.sinks import Outputs, open_sinks
from vla_vision.tracking.sources import FrameSource, SourceFrame
from vla_vision.tracking.tracker import Tracker
from vla_vision.types import Detections, Detector, Embedder, Frame, Tracks

BLACK = 8  # of 255; a frame without a brighter pixel shows nothing


@dataclass
class TrackSummary:
    """What came of a pass.

    Args:
        source: its name.
        frames, black_frames: read; and how many of them showed nothing.
        detections: handed to the tracker.
        refused: of those, left out, by reason; clipped ones were kept.
        tracks: identities given.
        boxes: boxes of tracks over all frames.
        seconds: spent in each stage (read, detect, embed, track, write).
        tracker_rate: frames a second of the tracker alone, the camera's motion included.
        files: what was written.
    """

    source: str
    frames: int = 0
    black_frames: int = 0
    detections: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    tracks: int = 0
    boxes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    tracker_rate: float = 0.0
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What is applied to every frame. A source with detections of its own needs no detector."""

    tracker: Tracker
    detector: Detector | None = None
    embedder: Embedder | None = None


def track_frames(
    source: FrameSource, pipeline: Pipeline, watch: Stopwatch | None = None
) -> Iterator[tuple[SourceFrame, Detections, Tracks]]:
    """Every frame with its detections and tracks, one at a time; `watch` is told the time of each stage.

    Raises:
        ConfigError: frames have no detections and there is no detector.
        DataError: a frame cannot be read, or frames change in size.
    """
    watch = watch or Stopwatch()
    watch.next_frame()
    for frame in source:
        watch.lap("read")
        found, tracks = track_frame(frame, pipeline, watch)
        yield frame, found, tracks
        watch.lap("write")
        watch.next_frame()


def track_frame(
    frame: SourceFrame, pipeline: Pipeline, watch: Stopwatch | None = None
) -> tuple[Detections, Tracks]:
    """The detections and tracks of the next frame; see `track_frames`."""
    watch = watch or Stopwatch()
    found = _detect(frame, pipeline.detector)
    watch.lap("detect")
    if pipeline.embedder is not None and found.embeddings is None and frame.image is not None:
        found = found.with_embeddings(pipeline.embedder.embed(frame.image, found.boxes))
    watch.lap("embed")
    tracks = pipeline.tracker.update(found, frame.image)
    watch.lap("track")
    return found, tracks


def _detect(frame: SourceFrame, detector: Detector | None) -> Detections:
    if frame.detections is not None:
        return frame.detections
    if detector is None or frame.image is None:
        raise ConfigError(
            "nothing says where the objects are",
            where=f"frame {frame.index}",
            expected="a source with detections, or a detector and images",
            next_step="give detections made elsewhere: --detections det.txt, or a detector: --weights PATH",
        )
    return detector.detect([frame.image])[0]


def track_source(
    source: FrameSource,
    pipeline: Pipeline,
    outputs: Outputs | None = None,
    *,
    limit: int | None = None,
    on_progress: OnProgress = no_progress,
) -> TrackSummary:
    """Track everything in a source and write what is wanted; one pass, nothing kept.

    Args:
        limit: stop after so many frames. A live source also stops when interrupted, and its files are kept.

    Raises:
        DataError: the source gives no frame; or as `track_frames`.
    """
    summary = TrackSummary(source.name)
    outputs = outputs or Outputs()
    watch = Stopwatch()
    with open_sinks(outputs, source) as sinks:
        results = track_frames(source, pipeline, watch)
        try:
            for frame, found, tracks in islice(results, limit):
                for sink in sinks:
                    sink.add(Percept(frame.index, frame.time, frame.image, found, tracks))
                _count(summary, frame, found, tracks)
                on_progress(Progress("track", summary.frames, total_frames(source, limit), "frames"))
        except KeyboardInterrupt:
            if not source.live:
                raise
        if not summary.frames:
            raise DataError("there is no frame", where=source.name, expected="at least one", got="none")
    summary.files, summary.seconds = outputs.files(), watch.seconds
    return _finish(summary, pipeline.tracker)


def total_frames(source: FrameSource, limit: int | None) -> int | None:
    """Frames that will be read, where that is known."""
    return min(source.frames, limit) if source.frames and limit else limit or source.frames


def shows_nothing(image: Frame | None) -> bool:
    """Whether a frame is black."""
    return image is not None and int(image.max(initial=0)) < BLACK


def _count(summary: TrackSummary, frame: SourceFrame, found: Detections, tracks: Tracks) -> None:
    summary.frames += 1
    summary.black_frames += shows_nothing(frame.image)
    summary.detections += len(found)
    summary.boxes += len(tracks)


def _finish(summary: TrackSummary, tracker: Tracker) -> TrackSummary:
    summary.refused = tracker.refused.counts()
    summary.tracks = tracker.identities
    spent = summary.seconds.get("track", 0.0)
    summary.tracker_rate = round(summary.frames / spent, 1) if spent else 0.0
    summary.seconds = {stage: round(value, 3) for stage, value in summary.seconds.items()}
    return summary
