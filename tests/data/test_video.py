"""Videos: what is written plays back as it was, and nothing half-written stays."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from vla_data.errors import DataError
from vla_data.video import write_mp4


def moving_square(count: int = 12) -> list[np.ndarray]:
    frames = []
    for i in range(count):
        frame = np.full((64, 96, 3), 30, np.uint8)
        frame[20:44, 4 * i : 4 * i + 24] = (220, 60, 40)
        frames.append(frame)
    return frames


def test_frames_come_back_in_order_size_and_rate(tmp_path: Path):
    frames = moving_square()
    write_mp4(tmp_path / "a.mp4", frames, 20.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate or 0)) == ("h264", 20.0)
        back = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert len(back) == len(frames)
    for ours, theirs in zip(frames, back, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 6


def test_the_same_frames_give_the_same_file(tmp_path: Path):
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, moving_square(), 20.0)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [np.zeros((63, 64, 3), np.uint8)],
        [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)],
    ],
    ids=["none", "odd", "mixed"],
)
def test_what_makes_no_video_is_refused_and_leaves_no_file(tmp_path: Path, frames: list[np.ndarray]):
    with pytest.raises(DataError, match="do not make a video"):
        write_mp4(tmp_path / "a.mp4", frames, 20.0)
    assert not list(tmp_path.iterdir())
