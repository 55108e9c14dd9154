"""Video files for people: H.264 in mp4, playable in any browser. Needs `vla-data[images]`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_data.types import Image


def write_mp4(path: Path, frames: Sequence[Image], frame_rate: float) -> None:
    """Write frames uint8 [height, width, 3] of one even size as an mp4, atomically.

    Raises:
        DataError: there is no frame, sizes differ, or a side is odd (4:2:0 colour needs even ones).
    """
    import av
    from av.video.reformatter import Interpolation

    # Without these the conversion rounds by where a frame happens to lie in memory.
    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    shapes = {f.shape for f in frames}
    if len(shapes) != 1 or any(side % 2 for shape in shapes for side in shape[:2]):
        raise DataError(
            "frames do not make a video",
            where=str(path),
            expected="at least one frame, all of one even size",
            got=f"{len(frames)} frames of {sorted(shapes)}",
        )
    height, width = frames[0].shape[:2]
    with atomic_path(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(frame_rate).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "26", "preset": "veryfast", "threads": "1", "movflags": "+faststart"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            converted = picture.reformat(format="yuv420p", interpolation=exact, threads=1)
            container.mux(stream.encode(converted))
        container.mux(stream.encode())
