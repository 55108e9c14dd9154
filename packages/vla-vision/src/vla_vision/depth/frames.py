"""Frames with known depth out of episodes, as training and measuring take them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64, UInt8

from vla_data.errors import DataError, UnknownNameError
from vla_data.objects import MASKS, VELOCITY
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.types import Episode
from vla_data.usable import Requirements, Skipped, usable_episodes
from vla_vision.depth.config import TrainDepthConfig

log = logging.getLogger(__name__)

MIN_DEPTH = 0.02  # nearer is inside a gripper or below what any sensor measures
MOVING_SPEED = 0.05  # m/s
BEFORE = 5  # steps that depth is compared over where nobody says what moves
NEARER = (0.01, 0.02)  # metres, and share of the depth, that a pixel came nearer by
MIN_VALID = 0.05  # share of a frame's pixels with depth


@dataclass(frozen=True, eq=False)
class DepthFrames:
    """N frames of one size with their depth.

    Args:
        images: uint8 [N, height, width, 3].
        depth: metres along the optical axis, 0 where unknown.
        focal: in picture heights.
        camera: index into `cameras`.
        episode: the episode's index in its source.
        moving: pixels of objects that move, where it was found out.
        empty: frames left out because hardly a pixel had depth.
        unknown_focal: cameras whose intrinsics are not known; 1 stands for their focal length.
    """

    images: UInt8[np.ndarray, "n h w 3"]
    depth: Float16[np.ndarray, "n h w"]
    focal: Float32[np.ndarray, "n"]
    camera: Int64[np.ndarray, "n"]
    episode: Int64[np.ndarray, "n"]
    moving: Bool[np.ndarray, "n h w"]
    cameras: tuple[str, ...]
    empty: int = 0
    unknown_focal: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: np.ndarray) -> DepthFrames:
        """The frames that an integer or boolean index picks."""
        names = ("images", "depth", "focal", "camera", "episode", "moving")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def of_camera(self, name: str) -> DepthFrames:
        """The frames of one camera."""
        return self.select(self.camera == self.cameras.index(name))


def read_frames(
    source: EpisodeSource,
    config: TrainDepthConfig,
    *,
    skip_corrupt: bool = False,
    skipped: list[Skipped] | None = None,
    on_progress: OnProgress = no_progress,
) -> DepthFrames:
    """Frames evenly from every episode and camera, cut and resized to `config`'s size.

    Raises:
        DataError: no episode has depth, or one cannot be read and `skip_corrupt` is off.
        UnknownNameError: a camera that no episode has depth of.
    """
    rows, known, empty, blind = [], set(), 0, set()
    require = Requirements(min_steps=1, finite=False)
    episodes = usable_episodes(source, require, images=True, skip_corrupt=skip_corrupt, skipped=skipped)
    for index, episode in episodes:
        cameras = _cameras(episode, config)
        known |= set(episode.depth)
        blind |= {c for c in cameras if _focal(episode, c) is None}
        share = max(1, config.frames // max(1, len(source) * len(cameras)))
        for camera in cameras:
            for row in _rows(episode, index, camera, share, config):
                rows.append(row)
        on_progress(Progress("read", index + 1, len(source), "episodes"))
    _require_cameras(config, known, source.name)
    kept = [row for row in rows if (row[2] > 0).mean() >= MIN_VALID]
    empty = len(rows) - len(kept)
    if not kept:
        raise _no_depth(source.name, f"{empty} frames, hardly a pixel with a finite positive depth in any")
    return _stack(kept, empty, tuple(sorted(blind)))


def usable_depth(depth: np.ndarray, max_depth: float) -> Float32[np.ndarray, "h w"]:
    """Metres, 0 where they are not known: NaN, Inf, not positive, nearer than 2 cm or beyond `max_depth`."""
    values = np.asarray(depth, np.float32)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(values) & (values > MIN_DEPTH) & (values <= max_depth)
    return np.where(known, values, np.float32(0))


def moving_pixels(episode: Episode, camera: str, step: int, max_depth: float) -> np.ndarray:
    """Pixels of objects that move, bool [height, width].

    Where the episode says what its objects are: those faster than 5 cm/s. Else, for a camera that stands
    still: pixels that came nearer by 1 cm and 2% over the last five steps. Else none.
    """
    masks = episode.series.get(MASKS + camera)
    velocity = episode.series.get(VELOCITY)
    if masks is not None and velocity is not None:
        fast = np.linalg.norm(np.asarray(velocity[step]), axis=-1) > MOVING_SPEED
        return np.concatenate([[False], fast])[np.asarray(masks[step])]
    now = usable_depth(episode.depth[camera][step], max_depth)
    if step < BEFORE or f"pose/{camera}" in episode.series:
        return np.zeros(now.shape, bool)
    before = usable_depth(episode.depth[camera][step - BEFORE], max_depth)
    return (now > 0) & (before > 0) & (before - now > NEARER[0] + NEARER[1] * now)


def _cameras(episode: Episode, config: TrainDepthConfig) -> list[str]:
    wanted = set(config.cameras or episode.depth) | ({config.unseen} if config.unseen else set())
    return sorted(name for name in episode.depth if name in wanted and name in episode.images)


Row = tuple[str, np.ndarray, np.ndarray, float, int, np.ndarray]


def _rows(episode: Episode, index: int, camera: str, count: int, config: TrainDepthConfig) -> Iterator[Row]:
    steps = np.unique(np.linspace(0, len(episode) - 1, count).round().astype(int))
    focal = _focal(episode, camera)
    for step in steps.tolist():
        image = np.asarray(episode.images[camera][step])
        depth = usable_depth(episode.depth[camera][step], config.max_depth)
        moving = moving_pixels(episode, camera, step, config.max_depth)
        cut, part = _cut(image, config.height, config.width)
        shape = (config.height, config.width)
        yield (
            camera,
            cut,
            _nearest(depth, part, image.shape[:2], shape).astype(np.float16),
            1.0 if focal is None else focal * image.shape[0] / (part[0].stop - part[0].start),
            index,
            _nearest(moving, part, image.shape[:2], shape),
        )


def _focal(episode: Episode, camera: str) -> float | None:
    """Focal length in picture heights."""
    known = episode.cameras.get(camera)
    if known is None or known.intrinsics is None:
        return None
    return float(known.intrinsics[1][1]) / known.height


def _cut(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The middle of an image at the aspect of height×width, resized to it, and what was cut out."""
    import cv2

    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    cut_rows, cut_columns = max(1, round(scale * height)), max(1, round(scale * width))
    top, left = (rows - cut_rows) // 2, (columns - cut_columns) // 2
    part = (slice(top, top + cut_rows), slice(left, left + cut_columns))
    whole = np.ascontiguousarray(image[part])
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), part


def _nearest(
    values: np.ndarray, part: tuple[slice, slice], size: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Values of the cut at the nearest pixels: depth is never mixed across an edge.

    The values may be of another size than the image (`size`) that `part` was cut from.
    """
    picked = []
    for axis in (0, 1):
        cut = part[axis]
        place = cut.start + (np.arange(shape[axis]) + 0.5) * (cut.stop - cut.start) / shape[axis]
        scaled = (place * values.shape[axis] / size[axis]).astype(int)
        picked.append(np.minimum(scaled, values.shape[axis] - 1))
    return values[np.ix_(*picked)]


def _stack(rows: Sequence[Row], empty: int, blind: tuple[str, ...]) -> DepthFrames:
    cameras = tuple(sorted({row[0] for row in rows}))
    return DepthFrames(
        np.stack([row[1] for row in rows]),
        np.stack([row[2] for row in rows]),
        np.array([row[3] for row in rows], np.float32),
        np.array([cameras.index(row[0]) for row in rows], np.int64),
        np.array([row[4] for row in rows], np.int64),
        np.stack([row[5] for row in rows]),
        cameras,
        empty,
        blind,
    )


def _require_cameras(config: TrainDepthConfig, known: set[str], name: str) -> None:
    if not known:
        raise _no_depth(name, "no episode with depth")
    for camera in (*config.cameras, *([config.unseen] if config.unseen else [])):
        if camera not in known:
            raise UnknownNameError("camera with depth", camera, known, where=name)


def _no_depth(name: str, got: str) -> DataError:
    return DataError(
        "there is no depth to learn from",
        where=name,
        expected="episodes with depth in metres, as a simulator or a depth camera gives",
        got=got,
        next_step="make some with: vla data generate metaworld --labels --out DIR",
    )
