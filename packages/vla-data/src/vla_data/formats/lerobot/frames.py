"""Frames, read and decoded when looked at: embedded in Parquet files, or of mp4 files by time.

Open decoders are kept, a few a process: looking at one frame after the other then decodes each once, and
looking elsewhere starts at the key frame before.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.lerobot.parquet import read_rows
from vla_data.images import MAX_PIXELS, EncodedImages
from vla_data.types import Image
from vla_data.video import to_rgb

OPEN_DECODERS = 8  # at least as many as a robot has cameras
AHEAD = 2.0  # seconds to decode rather than to seek

_decoders: OrderedDict[str, _Decoder] = OrderedDict()
_lock = Lock()
_owner = os.getpid()


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """An `ImageSequence` over a stretch of a video.

    Args:
        path: the file.
        times: second of each frame in it, float64 [T]; the nearest frame within `tolerance` is it.
        shape: (height, width) every frame must have.
        where: how errors name the sequence.
    """

    path: Path
    times: np.ndarray
    tolerance: float
    shape: tuple[int, int]
    where: str

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: int) -> Image:
        where = f"{self.where}, frame {index}"
        time = float(self.times[index])
        with _lock:
            image = _decoder(self.path, where).frame(time, self.tolerance, where)
        if image.shape[:2] != self.shape:
            raise DataError(
                "a frame of another size than its camera",
                where=where,
                expected=f"{self.shape[0]}×{self.shape[1]} (height × width)",
                got=f"{image.shape[0]}×{image.shape[1]}",
            )
        return image


class EmbeddedImages(EncodedImages):
    """Encoded frames in a column of a Parquet file, read on first use and then kept.

    Args:
        path: the file.
        key: the column.
        rows: which of its rows.
        where: how errors name the sequence.
        shape: (height, width) every frame must have.
    """

    _place: tuple[Path, str, range]

    def __init__(self, path: Path, key: str, rows: range, where: str, shape: tuple[int, int]) -> None:
        for name, value in (("where", where), ("shape", shape), ("_place", (path, key, rows))):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self._place[2])

    @cached_property
    def frames(self) -> list[bytes]:  # type: ignore[override]
        """The frames as they are stored.

        Raises:
            DataError: one is not in the file, which would have to be looked for elsewhere.
        """
        path, key, rows = self._place
        stored = read_rows(path, [key], rows.start, rows.stop)[key].to_pylist()
        frames: list[Any] = [r.get("bytes") if isinstance(r, dict) else None for r in stored]
        if any(f is None for f in frames):
            raise DataError(
                "an image is not embedded in its file",
                where=f"{self.where}, frame {frames.index(None)}",
                expected="bytes of a PNG or JPEG",
                got="a path or nothing: such a data set points at files outside it",
            )
        return frames


class _Decoder:
    """A video, decoded forward from where it stands; the frame it stands on is kept."""

    def __init__(self, path: Path, where: str) -> None:
        import av.error

        self.path = path
        try:
            self.container = av.open(str(path))
            self.stream = self.container.streams.video[0]
        except (av.error.FFmpegError, OSError, IndexError) as error:
            raise _damaged(path, where, error) from error
        self.stream.codec_context.thread_count = 1
        if self.stream.width * self.stream.height > MAX_PIXELS:
            raise _damaged(path, where, f"frames of {self.stream.width}×{self.stream.height}")
        self._frames: Any = None
        self._now: tuple[float, Any] | None = None

    def frame(self, time: float, tolerance: float, where: str) -> Image:
        """The frame at `time`."""
        import av.error

        try:
            found = self._advance(time, tolerance)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._now = None
            raise _damaged(self.path, where, error) from error
        if found is None or abs(found[0] - time) > tolerance:
            self._now = None
            got = "the video ends before" if found is None else f"the next one is at {found[0]:.4f} s"
            raise _damaged(self.path, f"{where} at {time:.4f} s", got)
        return to_rgb(found[1])

    def _advance(self, time: float, tolerance: float) -> tuple[float, Any] | None:
        here = self._now[0] if self._now else None
        if here is not None and abs(here - time) <= tolerance:
            return self._now
        if here is None or not here < time < here + AHEAD:
            base = self.stream.time_base
            start = max(0.0, time - tolerance)
            self.container.seek(int(start / base) if base else 0, stream=self.stream, backward=True)
            self._frames = self.container.decode(self.stream)
        for frame in self._frames:
            if frame.time is not None and frame.time >= time - tolerance:
                self._now = (float(frame.time), frame)
                return self._now
        self._now = None
        return None

    def close(self) -> None:
        self.container.close()


def _decoder(path: Path, where: str) -> _Decoder:
    global _owner
    if _owner != os.getpid():  # a file's position is shared with the process that forked this one
        _decoders.clear()
        _owner = os.getpid()
    key = str(path)
    if key not in _decoders:
        while len(_decoders) >= OPEN_DECODERS:
            _decoders.popitem(last=False)[1].close()
        _decoders[key] = _Decoder(path, where)
    _decoders.move_to_end(key)
    return _decoders[key]


def _damaged(path: Path, where: str, error: object) -> DataError:
    return DataError(
        "a video cannot be decoded",
        where=where,
        expected=f"a whole video: {path}",
        got=" ".join(str(error).split())[:200],
        next_step="fetch the data set again, or convert it again",
    )
