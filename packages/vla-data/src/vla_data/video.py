"""Video files: H.264 in mp4, playable in any browser. Needs `vla-data[images]`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_data.types import Image

CRF = "26"  # good enough for people


class Mp4Writer:
    """Adds frames uint8 [height, width, 3] to an mp4, one at a time.

    Args:
        size: (height, width), both even: 4:2:0 colour needs that.
        key_frames: frames from one key frame to the next; few make looking anywhere quick.

    Raises:
        DataError: a side is odd.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        frame_rate: float,
        crf: str = CRF,
        key_frames: int | None = None,
    ) -> None:
        import av

        height, width = size
        if height % 2 or width % 2 or not height * width:
            raise _no_video(path, f"frames of {height}×{width}")
        self.path, self.frames, self.bytes = path, 0, 0
        self._shape = (height, width, 3)
        self._container = av.open(str(path), "w", format="mp4")
        rate = Fraction(frame_rate).limit_denominator(1000)
        self._stream: Any = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        options = {"crf": crf, "preset": "veryfast", "threads": "1", "movflags": "+faststart"}
        self._stream.options = options | ({"g": str(key_frames), "bf": "0"} if key_frames else {})

    def add(self, frame: Image) -> None:
        """Append a frame; raises DataError when it is of another size."""
        import av

        if frame.shape != self._shape:
            raise _no_video(self.path, f"a frame of {frame.shape} after one of {self._shape}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        converted = picture.reformat(format="yuv420p", interpolation=_exact(), threads=1)
        self._mux(self._stream.encode(converted))
        self.frames += 1

    def close(self) -> None:
        """Write what the encoder holds back, and the index."""
        self._mux(self._stream.encode())
        self._container.close()

    def _mux(self, packets: list[Any]) -> None:
        self._container.mux(packets)
        self.bytes += sum(p.size for p in packets)

    def abandon(self) -> None:
        """Let go of the file; what is in it is of no use."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close() if exc[1] is None else self.abandon()


def write_mp4(path: Path, frames: Sequence[Image], frame_rate: float) -> None:
    """Write frames uint8 [height, width, 3] of one even size as an mp4, atomically.

    Raises:
        DataError: there is no frame, sizes differ, or a side is odd (4:2:0 colour needs even ones).
    """
    shapes = {f.shape for f in frames}
    if len(shapes) != 1:
        raise _no_video(path, f"{len(frames)} frames of {sorted(shapes)}")
    height, width = frames[0].shape[:2]
    with atomic_path(path) as part, Mp4Writer(part, (height, width), frame_rate) as video:
        for frame in frames:
            video.add(frame)


def to_rgb(frame: Any) -> Image:
    """The pixels of a decoded frame, uint8 [height, width, 3]."""
    return frame.reformat(format="rgb24", interpolation=_exact(), threads=1).to_ndarray()


def _exact() -> Any:
    """Without these the conversion rounds by where a frame happens to lie in memory."""
    from av.video.reformatter import Interpolation

    return Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


def _no_video(path: Path, got: str) -> DataError:
    return DataError(
        "frames do not make a video",
        where=str(path),
        expected="at least one frame, all of one even size",
        got=got,
        next_step="keep such frames as images",
    )
