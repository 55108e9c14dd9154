"""Cameras mounted a little otherwise, drawn once an episode.

A warp maps pixel p of the stored frame to pixel A·p of the new one, in homogeneous pixel coordinates with
the centre of the first pixel at (0, 0), as OpenCV has it. So the intrinsics of the new camera are exactly
A·K. With roll, A·K is no longer triangular; a point x of the camera's frame still appears at (A·K)·x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64

from vla_data.augment.lazy import ChangedImages
from vla_data.augment.series import require_range
from vla_data.errors import ConfigError
from vla_data.objects import BOXES, MASKS, mask_series
from vla_data.types import Camera, Episode, ImageSequence

HALF = 0.5


@dataclass(frozen=True)
class CameraWarp:
    """A camera mounted a little otherwise: crop, shift, zoom and roll, the same in every frame of an episode.

    The size stays; what is uncovered repeats the edge (depth there is 0, unknown).

    Args:
        crop: least part of width and height that is kept; drawn from [crop, 1], and its place too.
        shift: most of the width and height that the picture moves, to either side.
        zoom: most that lengths grow or shrink by, as a part.
        roll: most degrees that it turns, to either side.
        cameras: which; None: all.
    """

    crop: float = 0.9
    shift: float = 0.0
    zoom: float = 0.0
    roll: float = 0.0
    cameras: tuple[str, ...] | None = None
    kind: Literal["warp"] = "warp"

    def __post_init__(self) -> None:
        require_range("CameraWarp.crop", self.crop, 1.0, 0.05)
        for name, most in (("shift", 0.5), ("zoom", 0.9), ("roll", 180.0)):
            require_range(f"CameraWarp.{name}", getattr(self, name), most)

    def __call__(self, episode: Episode, rng: np.random.Generator) -> Episode:
        maps = {}
        for name in sorted(episode.images):
            matrix_of = self._draw(rng)
            if self.cameras is None or name in self.cameras:
                maps[name] = matrix_of
        return warped(episode, maps)

    def _draw(self, rng: np.random.Generator) -> Callable[[int, int], np.ndarray]:
        kept, place = rng.uniform(self.crop, 1.0), rng.uniform(0.0, 1.0, 2)
        shift, zoom = rng.uniform(-self.shift, self.shift, 2), 1 + rng.uniform(-self.zoom, self.zoom)
        roll = np.deg2rad(rng.uniform(-self.roll, self.roll))

        def matrix(width: int, height: int) -> np.ndarray:
            size = np.array([width, height], np.float64)
            corner = place * (1 - kept) * size
            return turn_matrix(size / 2, roll, zoom, shift * size) @ crop_matrix(corner, kept)

        return matrix


def crop_matrix(corner: np.ndarray, kept: float) -> Float64[np.ndarray, "3 3"]:
    """A of keeping the part `kept` of width and height from `corner` (x, y), enlarged to the full size."""
    scale = 1.0 / kept
    return _at_centres(
        np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]], [0, 0, 1.0]])
    )


def turn_matrix(
    centre: np.ndarray, angle: float, scale: float, shift: np.ndarray
) -> Float64[np.ndarray, "3 3"]:
    """A of turning by `angle` (radians, x towards y) and scaling about `centre`, then shifting."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    (x, y), (dx, dy) = centre, shift
    return _at_centres(
        np.array([[c, -s, x - c * x + s * y + dx], [s, c, y - s * x - c * y + dy], [0, 0, 1.0]])
    )


def _at_centres(matrix: np.ndarray) -> np.ndarray:
    """A map of the picture's plane, whose corner is (0, 0), as a map of pixels, whose first centre is."""
    there = np.array([[1, 0, HALF], [0, 1, HALF], [0, 0, 1.0]])
    back = np.array([[1, 0, -HALF], [0, 1, -HALF], [0, 0, 1.0]])
    return back @ matrix @ there


def warped(episode: Episode, maps: Mapping[str, Callable[[int, int], np.ndarray]]) -> Episode:
    """The episode with each named camera's frames, depth, segmentation and intrinsics warped.

    Args:
        maps: camera name → function of (width, height) that gives A.

    Boxes of objects are those of the warped masks.
    """
    warps = {}
    for name, matrix_of in maps.items():
        width, height = _size(episode, name)
        warps[name] = Warp(matrix_of(width, height), width, height)
    series = {
        n: _warp_all(v, warps.get(n.removeprefix(MASKS)) if n.startswith(MASKS) else None)
        for n, v in episode.series.items()
    }
    return replace(
        episode,
        images={n: _warp_images(f, warps.get(n)) for n, f in episode.images.items()},
        depth={n: _warp_all(np.asarray(d), warps.get(n)) for n, d in episode.depth.items()},
        series=series | _boxes(series, warps),
        cameras={
            n: c if n not in warps else _warp_camera(c, warps[n].matrix) for n, c in episode.cameras.items()
        },
    )


def _boxes(series: Mapping[str, np.ndarray], warps: Mapping[str, Warp]) -> dict[str, np.ndarray]:
    """Boxes and visible pixels of labelled cameras that were warped."""
    found: dict[str, np.ndarray] = {}
    for name in warps:
        if BOXES + name in series and MASKS + name in series:
            found |= mask_series(series[MASKS + name], series[BOXES + name].shape[1], name)
    return found


def _size(episode: Episode, name: str) -> tuple[int, int]:
    camera = episode.cameras.get(name)
    if camera is not None:
        return camera.width, camera.height
    height, width = episode.images[name][0].shape[:2]
    return width, height


def _warp_camera(camera: Camera, matrix: np.ndarray) -> Camera:
    if camera.intrinsics is None:
        return camera
    changed = matrix @ np.array(camera.intrinsics)
    return replace(camera, intrinsics=tuple(tuple(map(float, row)) for row in changed))


def _warp_images(frames: ImageSequence, warp: Warp | None) -> ImageSequence:
    return frames if warp is None else ChangedImages(frames, warp.change_image)


def _warp_all(frames: np.ndarray, warp: Warp | None) -> np.ndarray:
    return frames if warp is None else np.stack([warp.nearest(f) for f in frames])


@dataclass(frozen=True, eq=False)
class Warp:
    """One warp of one camera, its table of source pixels made when first needed.

    Args:
        matrix: A.
        width, height: of the frames, before and after.
    """

    matrix: np.ndarray
    width: int
    height: int

    def change_image(self, image: np.ndarray, index: int) -> np.ndarray:
        """The warped frame, uint8 [height, width, 3]: bilinear, the edge repeated outside."""
        self._require(image)
        flat = image.reshape(-1, image.shape[2])
        rows, weights = self._bilinear
        mixed = sum(flat[r] * w[:, None] for r, w in zip(rows, weights, strict=True))
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8).reshape(image.shape)

    def nearest(self, frame: np.ndarray) -> np.ndarray:
        """A warped frame of depth or ids [height, width]: the nearest pixel; 0 outside."""
        self._require(frame)
        x, y = np.rint(self._source).astype(np.int64)
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        flat = np.asarray(frame).reshape(-1)
        taken = flat[np.where(inside, y * self.width + x, 0)]
        return np.where(inside, taken, flat.dtype.type(0)).reshape(frame.shape)

    @cached_property
    def _source(self) -> np.ndarray:
        """Where each new pixel comes from, float64 [2, height · width]."""
        y, x = np.mgrid[: self.height, : self.width]
        points = np.stack([x.reshape(-1), y.reshape(-1), np.ones(self.width * self.height)])
        source = np.linalg.inv(self.matrix) @ points
        return source[:2] / source[2]

    @cached_property
    def _bilinear(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The four pixels each new one is mixed of, and in what parts."""
        x = np.clip(self._source[0], 0, self.width - 1)
        y = np.clip(self._source[1], 0, self.height - 1)
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        right, bottom = np.minimum(left + 1, self.width - 1), np.minimum(top + 1, self.height - 1)
        u, v = (x - left).astype(np.float32), (y - top).astype(np.float32)
        rows = [r * self.width + c for r in (top, bottom) for c in (left, right)]
        return rows, [(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u]

    def _require(self, frame: np.ndarray) -> None:
        if frame.shape[:2] != (self.height, self.width):
            raise ConfigError(
                "a frame of another size than its camera",
                where="CameraWarp",
                expected=f"{self.height}×{self.width}",
                got=f"{frame.shape[0]}×{frame.shape[1]}",
            )
