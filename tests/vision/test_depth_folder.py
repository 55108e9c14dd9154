"""Depth as files: what is written can be read, says what it means, and bad input is refused or counted."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.vision.depth_scenes import look, room_episode

from vla_data.errors import ConfigError, DataError
from vla_data.video import Mp4Writer
from vla_vision.depth import FolderConfig, NetworkDepth, SmoothingConfig, calibrate, read_depth, write_depth
from vla_vision.depth.colours import colourise, depth_range, error_colours
from vla_vision.depth.sources import ImageFiles, is_pictures, read_image
from vla_vision.depth.spec import Batch, DepthSpec
from vla_vision.tracking.sources import EpisodeFrames, SourceFrame, VideoFile
from vla_vision.types import DepthMap


def model(kind: str = "metric") -> NetworkDepth:
    """Depth from the brightness of the red channel: 1 to 3 m, or any number."""

    def run(batch: Batch) -> np.ndarray:
        return 2 + np.clip(batch[:, 0], -1, 1) / 2

    return NetworkDepth(run, DepthSpec("red", kind, 32, 2), batch_size=5)  # type: ignore[arg-type]


class Frames:
    """A `FrameSource` over pictures in memory."""

    name, frame_rate, live, size = "frames", 10.0, False, None

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images, self.frames = images, len(images)

    def __iter__(self) -> Iterator[SourceFrame]:
        for i, image in enumerate(self.images):
            yield SourceFrame(i + 1, i / 10, image)


def rolling(count: int = 7) -> list[np.ndarray]:
    return [look((-0.5 + 0.1 * i, 0.15, 1.5))[0] for i in range(count)]


def test_metres_in_16_bits(tmp_path: Path) -> None:
    summary = write_depth(
        Frames(rolling()), model(), tmp_path, FolderConfig(smooth=None), open_video=Mp4Writer
    )
    expected = model().infer(rolling())
    for i, depth in enumerate(expected):
        np.testing.assert_allclose(read_depth(tmp_path / f"{i + 1:06d}.png"), depth.values, atol=0.0006)
    assert summary == json.loads((tmp_path / "depth.json").read_text())
    assert (summary["kind"], summary["unit"]) == ("metric", "m, larger is farther")
    assert (summary["frames"], summary["video"]) == (7, "depth.mp4")
    clip = list(VideoFile(tmp_path / "depth.mp4"))
    assert len(clip) == 7
    assert clip[0].image is not None
    assert clip[0].image.shape == (32, 64, 3)


def test_relative_depth_is_kept_as_numbers(tmp_path: Path) -> None:
    summary = write_depth(Frames(rolling()), model("relative"), tmp_path, FolderConfig(smooth=None))
    assert summary["unit"] == "no unit, larger is nearer"
    np.testing.assert_array_equal(read_depth(tmp_path / "000003.npz"), model().infer(rolling())[2].values)
    with pytest.raises(ConfigError, match="no millimetres"):
        write_depth(Frames(rolling()), model("relative"), tmp_path / "png", FolderConfig("png"))


def test_calibrated_relative_depth_is_metric(tmp_path: Path) -> None:
    raw = model("relative").infer(rolling(1))[0]
    metres = (1 / (0.3 * raw.values + 0.1)).astype(np.float32)
    config = FolderConfig(smooth=None, calibration=calibrate(raw, metres))
    summary = write_depth(Frames(rolling(1)), model("relative"), tmp_path, config)
    assert summary["kind"] == "metric"
    assert summary["calibration_error"] < 0.001
    np.testing.assert_allclose(read_depth(tmp_path / "000001.png"), metres, atol=0.002)


def test_black_frames_are_counted_and_unknown(tmp_path: Path) -> None:
    images = rolling(4)
    images[1] = images[2] = np.zeros_like(images[0])
    summary = write_depth(Frames(images), model(), tmp_path)
    assert summary["frames_that_show_nothing"] == 2
    assert not read_depth(tmp_path / "000002.png").any()
    assert read_depth(tmp_path / "000004.png").any()


def test_smoothing_works_across_batches(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    still = rolling(1)[0]

    def run(batch: Batch) -> np.ndarray:
        return np.full(batch.shape[:1] + batch.shape[2:], 2.0, np.float32) * rng.normal(
            1, 0.02, (len(batch), 1, 1)
        ).astype(np.float32)

    noisy = NetworkDepth(run, DepthSpec("noisy", "metric", 32, 2), batch_size=3)
    write_depth(Frames([still] * 40), noisy, tmp_path, FolderConfig(smooth=SmoothingConfig()))
    values = [read_depth(tmp_path / f"{i:06d}.png").mean() for i in range(20, 41)]
    assert np.std(values) < 0.02


def test_changing_sizes(tmp_path: Path) -> None:
    images = [rolling(1)[0], look((0, 0.15, 1.5), 24, 40)[0]]
    with pytest.raises(DataError, match="differ in size"):
        write_depth(Frames(images), model(), tmp_path / "smooth")
    with pytest.raises(DataError, match="do not make a video"):
        write_depth(
            Frames(images), model(), tmp_path / "clip", FolderConfig(smooth=None), open_video=Mp4Writer
        )
    assert not (tmp_path / "clip" / "depth.mp4").exists()
    assert not (tmp_path / "clip" / "depth.json").exists()
    summary = write_depth(Frames(images), model(), tmp_path / "plain", FolderConfig(smooth=None))
    assert summary["frames"] == 2


def test_no_frame_at_all_and_a_limit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no frame"):
        write_depth(Frames([]), model(), tmp_path)
    assert write_depth(Frames(rolling()), model(), tmp_path, FolderConfig(frames=3))["frames"] == 3


def test_a_network_that_gives_nan_is_refused(tmp_path: Path) -> None:
    broken = NetworkDepth(lambda b: np.full((len(b), *b.shape[2:]), np.nan, np.float32), model().spec)
    with pytest.raises(DataError, match="NaN or Inf"):
        write_depth(Frames(rolling()), broken, tmp_path)


def test_pictures_of_a_folder_and_episodes(tmp_path: Path) -> None:
    import cv2

    for i, image in enumerate(rolling(3)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image[..., ::-1])
    (tmp_path / "notes.txt").write_text("no picture")
    assert is_pictures(tmp_path)
    assert not is_pictures(tmp_path / "notes.txt")
    for frame, image in zip(ImageFiles(tmp_path), rolling(3), strict=True):
        np.testing.assert_array_equal(frame.image, image)
    (tmp_path / "1.png").write_bytes(b"\x89PNG cut")
    with pytest.raises(DataError, match="cannot be read"):
        list(ImageFiles(tmp_path))
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        read_image(tmp_path / "1.png")
    summary = write_depth(EpisodeFrames(room_episode(0), "front"), model(), tmp_path / "out")
    assert summary["frames"] == 12


def test_damaged_maps(tmp_path: Path) -> None:
    for name, content in (("a.png", b"x"), ("a.npz", b"PK\x03\x04cut"), ("b.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="depth map"):
            read_depth(tmp_path / name)
    with pytest.raises(DataError, match="depth map"):
        read_depth(tmp_path / "absent.png")


def test_near_is_bright_whatever_the_numbers_mean() -> None:
    metres = np.linspace(0.5, 3, 64, dtype=np.float32).reshape(8, 8)
    metric = colourise(DepthMap(metres, "metric")).astype(int).sum(-1).ravel()
    relative = colourise(DepthMap((1 / metres).astype(np.float32), "relative")).astype(int).sum(-1).ravel()
    for bright in (metric, relative):
        assert bright[0] > bright[-1] + 200
    holes = metres.copy()
    holes[0, 0], holes[0, 1] = 0, np.nan
    assert not colourise(DepthMap(holes, "metric"))[0, :2].any()
    assert depth_range(DepthMap(np.zeros((2, 2), np.float32), "metric")) == (1.0, 2.0)
    red, blue = error_colours(np.array([[1.3, 0.7]], np.float32), np.array([[1.0, 1.0]], np.float32))[0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
