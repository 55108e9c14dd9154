"""Where tracks go: MOT text, JSON lines, annotated video, Rerun recording. Files appear only when whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.files import atomic_path
from vla_vision.tracking.drawing import TrackPainter, track_colour, track_label
from vla_vision.tracking.mot_file import mot_lines
from vla_vision.tracking.sources import FrameSource, SourceFrame
from vla_vision.types import Frame, Tracks

JPEG_QUALITY = 85


class FrameWriter(Protocol):
    """Takes frames of one even size, such as `vla_data.video.Mp4Writer`."""

    def add(self, frame: Frame) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


OpenVideo = Callable[[Path, tuple[int, int], float], FrameWriter]


@dataclass(frozen=True)
class Outputs:
    """Files to write; None writes none.

    Args:
        mot, jsonl, video, recording: MOT text, JSON lines, mp4, Rerun .rrd.
        open_video: makes the writer of `video` from path, (height, width) and frame rate.
    """

    mot: Path | None = None
    jsonl: Path | None = None
    video: Path | None = None
    recording: Path | None = None
    open_video: OpenVideo | None = None

    def files(self) -> dict[str, str]:
        """Kind → path of what is written."""
        names = ("mot", "jsonl", "video", "recording")
        return {name: str(path) for name in names if (path := getattr(self, name)) is not None}


class TrackSink(Protocol):
    """Takes the tracks of each frame in order."""

    def add(self, frame: SourceFrame, tracks: Tracks) -> None: ...


@contextmanager
def open_sinks(outputs: Outputs, source: FrameSource) -> Iterator[list[TrackSink]]:
    """The sinks of all outputs; the files get their names when the block ends without an error.

    Raises:
        ConfigError: a video is wanted and nothing is given that writes one.
        MissingDependencyError: a recording is wanted and rerun-sdk is not installed.
    """
    with ExitStack() as stack:
        sinks: list[TrackSink] = []
        if outputs.mot is not None:
            sinks.append(stack.enter_context(_text(outputs.mot, MotText)))
        if outputs.jsonl is not None:
            sinks.append(stack.enter_context(_text(outputs.jsonl, JsonLines)))
        if outputs.video is not None:
            sinks.append(stack.enter_context(_video(outputs, source)))
        if outputs.recording is not None:
            sinks.append(stack.enter_context(_recording(outputs.recording, source)))
        yield sinks


@contextmanager
def _text(path: Path, kind: Callable[[Any], TrackSink]) -> Iterator[TrackSink]:
    with atomic_path(path) as part, part.open("w", encoding="utf-8") as handle:
        yield kind(handle)


class MotText:
    """MOTChallenge text; frames without a track have no line."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, frame: SourceFrame, tracks: Tracks) -> None:
        self._handle.write(mot_lines(frame.index, tracks))


class JsonLines:
    """One object a frame: its number and time in seconds, and every track (velocity in pixels a frame)."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, frame: SourceFrame, tracks: Tracks) -> None:
        rows = [_row(tracks, i) for i in range(len(tracks))]
        line = {"frame": frame.index, "time": round(frame.time, 6), "tracks": rows}
        self._handle.write(json.dumps(line, allow_nan=False) + "\n")


def _row(tracks: Tracks, i: int) -> dict[str, Any]:
    number = int(tracks.classes[i])
    names = tracks.class_names
    return {
        "id": int(tracks.ids[i]),
        "box": [round(v, 2) for v in tracks.boxes[i].tolist()],
        "score": round(float(tracks.scores[i]), 4),
        "class": names[number] if 0 <= number < len(names) else number,
        "age": int(tracks.ages[i]),
        "velocity": [round(v, 3) for v in tracks.velocities[i].tolist()],
        "seen": bool(tracks.detections[i] >= 0),
    }


class AnnotatedVideo:
    """Frames with the tracks drawn on them; opened by the first frame, whose size it takes."""

    def __init__(self, path: Path, frame_rate: float, open_video: OpenVideo) -> None:
        self._path, self._rate, self._open = path, frame_rate, open_video
        self._painter = TrackPainter()
        self.writer: FrameWriter | None = None

    def add(self, frame: SourceFrame, tracks: Tracks) -> None:
        if frame.image is None:
            raise DataError(
                "there is no picture to draw tracks on",
                where=f"frame {frame.index}",
                expected="frames with images",
                got="detections alone",
                next_step="give the video they were made from, or leave out the annotated video",
            )
        height, width = (side - side % 2 for side in frame.image.shape[:2])
        if self.writer is None:
            self.writer = self._open(self._path, (height, width), self._rate)
        self.writer.add(self._painter.draw(frame.image, tracks)[:height, :width])


@contextmanager
def _video(outputs: Outputs, source: FrameSource) -> Iterator[TrackSink]:
    if outputs.open_video is None or outputs.video is None:
        raise ConfigError(
            "nothing is given that writes a video",
            where="Outputs",
            expected="open_video, such as vla_data.video.Mp4Writer",
        )
    with atomic_path(outputs.video) as part:
        sink = AnnotatedVideo(part, source.frame_rate, outputs.open_video)
        try:
            yield sink
        except BaseException:
            if sink.writer is not None:
                sink.writer.abandon()
            raise
        if sink.writer is not None:
            sink.writer.close()


class RerunTracks:
    """Frames (as JPEG), boxes with names and colours, the number of tracks; timelines `frame` and `time`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def add(self, frame: SourceFrame, tracks: Tracks) -> None:
        import rerun as rr

        self._stream.set_time("frame", sequence=frame.index)
        self._stream.set_time("time", duration=frame.time)
        if frame.image is not None:
            self._stream.log("video", rr.Image(frame.image).compress(jpeg_quality=JPEG_QUALITY))
        boxes = rr.Boxes2D(
            array=tracks.boxes,
            array_format=rr.Box2DFormat.XYXY,
            labels=[track_label(tracks, i) for i in range(len(tracks))],
            colors=[track_colour(i) for i in tracks.ids.tolist()],
        )
        self._stream.log("video/tracks", boxes)
        self._stream.log("tracks", rr.Scalars(np.float64(len(tracks))))


@contextmanager
def _recording(path: Path, source: FrameSource) -> Iterator[TrackSink]:
    try:
        import rerun as rr
    except ImportError as error:
        raise MissingDependencyError(
            "a Rerun recording needs rerun-sdk", where=str(path), next_step="install vla-vision[view]"
        ) from error
    with atomic_path(path) as part, rr.RecordingStream("vla", recording_id=source.name) as stream:
        stream.save(part)
        stream.send_recording_name(source.name)
        yield RerunTracks(stream)
        stream.flush()
        stream.disconnect()
