"""One pass over a source: perceive every frame, write what is wanted, and say how fast it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from vla_data.errors import DataError
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_vision.perception.perceiver import Perceiver
from vla_vision.perception.percept import Percept
from vla_vision.tracking.loop import shows_nothing, total_frames
from vla_vision.tracking.sinks import Outputs, open_sinks
from vla_vision.tracking.sources import FrameSource

WRITTEN = ("read", "write")  # stages that are not perception


@dataclass
class PerceiveSummary:
    """What came of a pass.

    Args:
        source: its name.
        frames, black_frames: read; and how many of them showed nothing.
        detections: handed to the tracker.
        refused: of those, left out, by reason.
        tracks: identities given.
        without_depth: frames before the first depth.
        depth: "metric", "relative" or "none".
        placed_in: "world" or "camera" frame of positions and velocities; "" where there are none.
        mean_depth_age: frames, over those with depth.
        rate: frames a second of perception: detection to velocity, without reading and writing.
        stages: milliseconds, see `Stopwatch.table`.
        files: what was written.
    """

    source: str
    frames: int = 0
    black_frames: int = 0
    detections: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    tracks: int = 0
    without_depth: int = 0
    depth: str = "none"
    placed_in: str = ""
    mean_depth_age: float = 0.0
    rate: float = 0.0
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def perceive_source(
    source: FrameSource,
    perceiver: Perceiver,
    outputs: Outputs | None = None,
    *,
    limit: int | None = None,
    on_progress: OnProgress = no_progress,
) -> PerceiveSummary:
    """Perceive everything in a source and write what is wanted; one pass, nothing kept.

    Args:
        limit: stop after so many frames. A live source also stops when interrupted, and its files are kept.

    Raises:
        DataError: the source gives no frame, or one that cannot be read; or as `Perceiver.update`.
    """
    summary, outputs, watch = PerceiveSummary(source.name), outputs or Outputs(), perceiver.watch
    with open_sinks(outputs, source) as sinks:
        watch.next_frame()
        try:
            for frame in islice(source, limit):
                watch.lap("read")
                percept = perceiver.update(frame)
                for sink in sinks:
                    sink.add(percept)
                watch.lap("write")
                watch.next_frame()
                _count(summary, percept)
                on_progress(Progress("perceive", summary.frames, total_frames(source, limit), "frames"))
        except KeyboardInterrupt:
            if not source.live:
                raise
        if not summary.frames:
            raise DataError("there is no frame", where=source.name, expected="at least one", got="none")
    summary.files = outputs.files()
    return _finish(summary, perceiver)


def _count(summary: PerceiveSummary, percept: Percept) -> None:
    summary.frames += 1
    summary.black_frames += shows_nothing(percept.image)
    summary.detections += len(percept.detections)
    summary.without_depth += percept.depth is None
    summary.mean_depth_age += percept.depth_age
    if percept.depth is not None:
        summary.depth = percept.depth.kind
    if percept.velocities is not None:
        summary.placed_in = percept.velocities.frame


def _finish(summary: PerceiveSummary, perceiver: Perceiver) -> PerceiveSummary:
    watch = perceiver.watch
    with_depth = summary.frames - summary.without_depth
    summary.mean_depth_age = round(summary.mean_depth_age / with_depth, 2) if with_depth else 0.0
    summary.refused = perceiver.tracker.refused.counts()
    summary.tracks = perceiver.tracker.identities
    summary.stages = watch.table()
    seconds = sum(watch.frames) - sum(watch.seconds.get(stage, 0.0) for stage in WRITTEN)
    summary.rate = round(summary.frames / seconds, 1) if seconds > 0 else 0.0
    return summary
