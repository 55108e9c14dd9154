"""A detector over frames of any source: one result a frame, as JSON lines, pictures or video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_vision.detection.drawing import draw_detections
from vla_vision.labels.pictures import write_picture
from vla_vision.tracking.sinks import FrameWriter, OpenVideo
from vla_vision.tracking.sources import FrameSource, SourceFrame
from vla_vision.types import Detections, Detector

BATCH = 8
SHOWN_SIDE = 480  # smaller pictures are enlarged, so that names can be read


@dataclass(frozen=True)
class Drawn:
    """What is drawn on frames, and where it is written; None writes none.

    Args:
        pictures: directory for a PNG a frame.
        video: mp4 file; `open_video` makes its writer from path, (height, width) and frame rate.
    """

    pictures: Path | None = None
    video: Path | None = None
    open_video: OpenVideo | None = None


def detect_frames(
    source: FrameSource,
    detector: Detector,
    *,
    limit: int | None = None,
    on_progress: OnProgress = no_progress,
) -> Iterator[tuple[SourceFrame, Detections]]:
    """Every frame of a source with what was found in it.

    Args:
        limit: stop after so many frames.

    Raises:
        DataError: a frame has no picture, or cannot be read.
    """
    frames = islice(source, limit)
    total = source.frames if limit is None else min(limit, source.frames or limit)
    done = 0
    while batch := list(islice(frames, 1 if source.live else BATCH)):
        yield from zip(batch, detector.detect([_picture(f) for f in batch]), strict=True)
        done += len(batch)
        on_progress(Progress("detect", done, total, "frames"))


def detection_rows(detections: Detections) -> list[dict[str, Any]]:
    """Detections as plain values: box in pixels, score, class."""
    names = detections.class_names
    return [
        {
            "box": [round(v, 2) for v in box],
            "score": round(float(score), 4),
            "class": names[number] if 0 <= number < len(names) else number,
        }
        for box, score, number in zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.classes.tolist(), strict=True
        )
    ]


def draw_frames(
    found: Iterator[tuple[SourceFrame, Detections]], drawn: Drawn, frame_rate: float
) -> Iterator[tuple[SourceFrame, Detections]]:
    """The same frames and detections; on the way they are drawn. The video gets its name at the end."""
    if drawn.video is None or drawn.open_video is None:
        for frame, detections in found:
            _write_picture(drawn.pictures, frame, detections)
            yield frame, detections
        return
    writer: FrameWriter | None = None
    with atomic_path(drawn.video) as part:
        try:
            for frame, detections in found:
                _write_picture(drawn.pictures, frame, detections)
                picture = draw_detections(_picture(frame), detections, least_side=SHOWN_SIDE)
                height, width = (side - side % 2 for side in picture.shape[:2])
                writer = writer or drawn.open_video(part, (height, width), frame_rate)
                writer.add(picture[:height, :width])
                yield frame, detections
        except BaseException:
            if writer is not None:
                writer.abandon()
            raise
        if writer is not None:
            writer.close()


def _write_picture(directory: Path | None, frame: SourceFrame, detections: Detections) -> None:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        picture = draw_detections(_picture(frame), detections, least_side=SHOWN_SIDE)
        write_picture(directory / f"{frame.index:06d}.png", picture)


def _picture(frame: SourceFrame) -> Any:
    if frame.image is None:
        raise DataError(
            "there is no picture to look at",
            where=f"frame {frame.index}",
            expected="frames with images",
            got="detections alone",
        )
    return frame.image
