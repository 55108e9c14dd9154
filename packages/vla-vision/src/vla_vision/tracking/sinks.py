"""Where percepts go: MOT text, JSON lines, annotated video, Rerun recording. Files appear only when whole."""

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
from vla_vision.perception.drawing import PerceptPainter
from vla_vision.perception.percept import Percept
from vla_vision.tracking.drawing import track_colour, track_label
from vla_vision.tracking.mot_file import mot_lines
from vla_vision.tracking.sources import FrameSource
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


class Sink(Protocol):
    """Takes what is known of each frame, in order."""

    def add(self, percept: Percept) -> None: ...


@contextmanager
def open_sinks(outputs: Outputs, source: FrameSource) -> Iterator[list[Sink]]:
    """The sinks of all outputs; the files get their names when the block ends without an error.

    Raises:
        ConfigError: a video is wanted and nothing is given that writes one.
        MissingDependencyError: a recording is wanted and rerun-sdk is not installed.
    """
    with ExitStack() as stack:
        sinks: list[Sink] = []
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
def _text(path: Path, kind: Callable[[Any], Sink]) -> Iterator[Sink]:
    with atomic_path(path) as part, part.open("w", encoding="utf-8") as handle:
        yield kind(handle)


class MotText:
    """MOTChallenge text; frames without a track have no line."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, percept: Percept) -> None:
        self._handle.write(mot_lines(percept.index, percept.tracks))


class JsonLines:
    """One object a frame: its number and time in seconds, and every track (velocity in pixels a frame).

    Where there is depth, also its kind and age in frames, and of each track its depth; where there is motion
    in space, of each track position (m), velocity (m/s), the standard deviations of both, and their frame.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, percept: Percept) -> None:
        tracks = percept.tracks
        rows = [_row(tracks, i) | _in_space(percept, i) for i in range(len(tracks))]
        line = {"frame": percept.index, "time": round(percept.time, 6), "tracks": rows}
        if percept.depth is not None:
            line["depth"] = {"kind": percept.depth.kind, "age": percept.depth_age}
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


def _in_space(percept: Percept, i: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if percept.depths is not None:
        depth = float(percept.depths[i])
        row["depth"] = round(depth, 4) if np.isfinite(depth) else None
    moving = percept.velocities
    if moving is None:
        return row
    found = np.flatnonzero(moving.ids == percept.tracks.ids[i])
    if not len(found):
        return row
    spread = np.sqrt(moving.covariances[found[0]].diagonal())
    told = (moving.positions[found[0]], moving.velocities[found[0]], spread[:3], spread[3:])
    names = ("position_m", "velocity_mps", "position_sd", "velocity_sd")
    row |= {name: [round(v, 4) for v in x.tolist()] for name, x in zip(names, told, strict=True)}
    return row | {"frame_of": moving.frame, "measured": bool(moving.measured[found[0]])}


class AnnotatedVideo:
    """Frames with what is known drawn on them; opened by the first frame, whose picture's size it takes."""

    def __init__(self, path: Path, frame_rate: float, open_video: OpenVideo) -> None:
        self._path, self._rate, self._open = path, frame_rate, open_video
        self._painter = PerceptPainter()
        self.writer: FrameWriter | None = None

    def add(self, percept: Percept) -> None:
        if percept.image is None:
            raise DataError(
                "there is no picture to draw tracks on",
                where=f"frame {percept.index}",
                expected="frames with images",
                got="detections alone",
                next_step="give the video they were made from, or leave out the annotated video",
            )
        picture = self._painter.draw(percept)
        height, width = (side - side % 2 for side in picture.shape[:2])
        if self.writer is None:
            self.writer = self._open(self._path, (height, width), self._rate)
        self.writer.add(picture[:height, :width])


@contextmanager
def _video(outputs: Outputs, source: FrameSource) -> Iterator[Sink]:
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
    """Frames (as JPEG), boxes with names and colours, the number of tracks; timelines `frame` and `time`.

    Where there is depth, a depth image; where there is motion in space, points and arrows of a second's way.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def add(self, percept: Percept) -> None:
        import rerun as rr

        tracks = percept.tracks
        self._stream.set_time("frame", sequence=percept.index)
        self._stream.set_time("time", duration=percept.time)
        if percept.image is not None:
            self._stream.log("video", rr.Image(percept.image).compress(jpeg_quality=JPEG_QUALITY))
        boxes = rr.Boxes2D(
            array=tracks.boxes,
            array_format=rr.Box2DFormat.XYXY,
            labels=[track_label(tracks, i) for i in range(len(tracks))],
            colors=[track_colour(i) for i in tracks.ids.tolist()],
        )
        self._stream.log("video/tracks", boxes)
        self._stream.log("tracks", rr.Scalars(np.float64(len(tracks))))
        if percept.depth is not None and percept.depth_age == 0:
            meter = 1.0 if percept.depth.kind == "metric" else None
            self._stream.log("depth", rr.DepthImage(percept.depth.values, meter=meter))
        if percept.velocities is not None:
            moving = percept.velocities
            colours = [track_colour(i) for i in moving.ids.tolist()]
            arrows = rr.Arrows3D(origins=moving.positions, vectors=moving.velocities, colors=colours)
            self._stream.log("space/velocities", arrows)
            self._stream.log("space/objects", rr.Points3D(moving.positions, colors=colours, radii=0.01))


@contextmanager
def _recording(path: Path, source: FrameSource) -> Iterator[Sink]:
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
