"""Depth of a video, of pictures or of an episode as files: a map a frame, a clip, and what the numbers mean.

A folder holds `000001.png` … (16 bits, millimetres, 0: unknown, 65.535 m at most) or `000001.npz` … (`depth`,
float32), `depth.mp4` (picture beside depth) and `depth.json`, written last.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from vla_data.errors import ConfigError, DataError
from vla_data.files import atomic_path, write_bytes, write_json
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_vision.depth.calibration import Calibration
from vla_vision.depth.colours import colourise, depth_range
from vla_vision.depth.inference import NetworkDepth
from vla_vision.depth.smoothing import DepthSmoother, SmoothingConfig
from vla_vision.depth.spec import FLAT
from vla_vision.tracking.sinks import FrameWriter, OpenVideo
from vla_vision.tracking.sources import FrameSource, SourceFrame
from vla_vision.types import DepthMap, Frame

SUMMARY, VIDEO = "depth.json", "depth.mp4"
MILLIMETRES = 1000
FARTHEST = 65535


@dataclass(frozen=True)
class FolderConfig:
    """What is written.

    Args:
        format: `png` for metres only; `auto` is png for metres, npz for relative depth.
        smooth: how depth is smoothed over time; None leaves every frame as it is.
        focal: focal length in pixels of the frames, where it is known.
        frames: at most so many; None stands for all.
        calibration: turns the model's depth into metres.
    """

    format: Literal["auto", "png", "npz"] = "auto"
    smooth: SmoothingConfig | None = field(default_factory=SmoothingConfig)
    focal: float | None = None
    frames: int | None = None
    calibration: Calibration | None = None


def write_depth(
    source: FrameSource,
    model: NetworkDepth,
    out: Path,
    config: FolderConfig = FolderConfig(),
    *,
    open_video: OpenVideo | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Write the depth of every frame of `source` to the folder `out`.

    Args:
        open_video: makes the writer of `depth.mp4`; None writes no clip.

    Returns:
        What `depth.json` holds: kind and unit of the numbers, how many frames, how many of them black.

    Raises:
        DataError: the source cannot be read or holds no frame, or its frames change size where they are
            smoothed or shown in a clip.
        ConfigError: PNG was asked for relative depth, which has no millimetres.
    """
    kind = "metric" if config.calibration else model.spec.kind
    ending = _ending(config.format, kind)
    out.mkdir(parents=True, exist_ok=True)
    count, black, lows, highs = 0, 0, [], []
    clip = _Clip(out / VIDEO, source.frame_rate, open_video)
    with clip:
        for frame, depth in infer_frames(source, model, config):
            write_bytes(out / f"{frame.index:06d}.{ending}", _encoded(depth, ending))
            clip.add(frame, depth)
            count, black = count + 1, black + int(_is_flat(frame.image))
            near, far = depth_range(depth)
            lows.append(near)
            highs.append(far)
            on_progress(Progress("depth", count, config.frames or source.frames, "frames"))
    if not count:
        raise DataError("there is no frame to give depth to", where=source.name, got="no frame")
    summary = _summary(source, model, config, kind, ending, count, black)
    summary |= {"near": round(float(np.median(lows)), 4), "far": round(float(np.median(highs)), 4)}
    summary |= {"video": VIDEO if open_video else None}
    write_json(out / SUMMARY, summary)
    return summary


def infer_frames(
    source: Iterable[SourceFrame], model: NetworkDepth, config: FolderConfig
) -> Iterator[tuple[SourceFrame, DepthMap]]:
    """Every frame with its depth: inferred in batches, calibrated, smoothed over time."""
    smoother = DepthSmoother(config.smooth) if config.smooth else None
    frames = islice(iter(source), config.frames)
    while batch := [f for f in islice(frames, model.batch_size) if f.image is not None]:
        images = [f.image for f in batch if f.image is not None]
        for frame, image, depth in zip(batch, images, model.infer(images, config.focal), strict=True):
            if config.calibration is not None:
                depth = config.calibration.apply(depth)
            yield frame, smoother.update(depth, image) if smoother and not _is_flat(image) else depth


def read_depth(path: Path) -> np.ndarray:
    """A map written here, float32 [height, width]: metres of a .png, the numbers of an .npz.

    Raises:
        DataError: the file is not one of these, or damaged.
    """
    import cv2

    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as content:
                return np.asarray(content["depth"], np.float32)
        levels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        if levels is not None and levels.dtype == np.uint16 and levels.ndim == 2:
            return levels.astype(np.float32) / MILLIMETRES
        got = "no 16-bit picture of one channel"
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, cv2.error) as error:
        got = str(error).splitlines()[0]
    raise DataError("a depth map cannot be read", where=str(path), expected="16-bit PNG or npz", got=got)


class _Clip:
    """Pictures beside their depth as a video, in the colours of the first frame's range."""

    def __init__(self, path: Path, rate: float, open_video: OpenVideo | None) -> None:
        self._path, self._rate, self._open = path, rate, open_video
        self._place: AbstractContextManager[Any] = nullcontext()
        self._writer: FrameWriter | None = None
        self._span: tuple[float, float] | None = None

    def __enter__(self) -> _Clip:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._writer is not None:
            self._writer.close() if exc[1] is None else self._writer.abandon()
        self._place.__exit__(*exc)

    def add(self, frame: SourceFrame, depth: DepthMap) -> None:
        if self._open is None or frame.image is None:
            return
        height, width = (side - side % 2 for side in frame.image.shape[:2])
        if self._writer is None:
            self._place = atomic_path(self._path)
            part = self._place.__enter__()
            self._writer = self._open(part, (height, 2 * width), self._rate)
            self._span = depth_range(depth)
        both = [frame.image[:height, :width], colourise(depth, self._span)[:height, :width]]
        self._writer.add(np.ascontiguousarray(np.concatenate(both, 1)))


def _ending(format: str, kind: str) -> str:
    if format == "png" and kind == "relative":
        raise ConfigError(
            "relative depth has no millimetres to write into a PNG",
            where="format",
            expected="npz, or auto",
            got="png",
            next_step="leave --format out, or give --calibrate depth that is known",
        )
    return {"auto": "png" if kind == "metric" else "npz"}.get(format, format)


def _encoded(depth: DepthMap, ending: str) -> bytes:
    import cv2

    if ending == "npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, depth=depth.values)
        return buffer.getvalue()
    levels = np.clip(np.rint(depth.values.astype(np.float64) * MILLIMETRES), 0, FARTHEST)
    return cv2.imencode(".png", levels.astype(np.uint16))[1].tobytes()


def _is_flat(image: Frame | None) -> bool:
    return image is None or int(image.max()) - int(image.min()) <= FLAT


def _summary(
    source: FrameSource,
    model: NetworkDepth,
    config: FolderConfig,
    kind: str,
    ending: str,
    count: int,
    black: int,
) -> dict[str, Any]:
    depth = DepthMap(np.zeros((0, 0), np.float32), "metric" if kind == "metric" else "relative")
    stored = "millimetres, 16 bits, 0: unknown" if ending == "png" else "float32, key depth"
    found: dict[str, Any] = {
        "source": source.name,
        "network": model.spec.name,
        "kind": kind,
        "unit": depth.unit,
        "files": f"{ending}: {stored}",
        "frames": count,
        "frames_that_show_nothing": black,
        "smoothed": config.smooth is not None,
    }
    if model.spec.canonical:
        known = "given" if config.focal is not None else "not known: that of the cameras it was trained with"
        found["focal_length"] = known
    if config.calibration is not None:
        found["calibration_error"] = round(config.calibration.error, 4)
    return found
