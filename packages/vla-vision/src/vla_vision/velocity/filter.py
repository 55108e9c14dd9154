"""3-D position and velocity of tracked objects by a Kalman filter, in the world where camera poses are known.

Notable features:
- measurements are points whose covariance is long along the ray and grows with depth, so a flickering
  depth hardly moves the velocity across the picture (radial noise of depth models is 2-3 times the lateral)
- with poses the filter lives in the world frame: a camera that moves past a thing at rest gives velocity zero
- without depth (zeros, NaN, Inf, too little of the object) a frame only lets the covariance grow
- a measurement far off is not believed at once: its covariance is inflated to the gate
- all objects are one batch: state [N, 6], covariance [N, 6, 6]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from vla_data.errors import DataError
from vla_vision.types import Tracks
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.lifting import (
    centres,
    lift,
    object_depths,
    require_intrinsics,
    require_pose,
    to_world,
)


@dataclass(frozen=True, eq=False)
class Velocities:
    """Objects in space at one instant.

    Args:
        ids: int64 [N], of the tracks; those never measured yet are left out.
        positions: float64 [N, 3], metres.
        velocities: float64 [N, 3], m/s.
        covariances: float64 [N, 6, 6], of position then velocity.
        measured: bool [N], whether this frame's depth was used.
        frame: "world" where poses were given, else "camera": then the camera's own motion is part of it.
    """

    ids: Int64[np.ndarray, "n"]
    positions: Float64[np.ndarray, "n 3"]
    velocities: Float64[np.ndarray, "n 3"]
    covariances: Float64[np.ndarray, "n 6 6"]
    measured: Bool[np.ndarray, "n"]
    frame: Literal["world", "camera"]

    def __len__(self) -> int:
        return len(self.ids)


class VelocityFilter:
    """Feeds on tracks, depth and, where known, camera poses; `update` once a frame, in order of time."""

    def __init__(self, intrinsics: object, config: VelocityConfig | None = None) -> None:
        self.intrinsics = require_intrinsics(intrinsics)
        self.config = config or VelocityConfig()
        self.reset()

    def reset(self) -> None:
        """Forget all objects and the clock."""
        self._time: float | None = None
        self._frame: Literal["world", "camera"] | None = None
        self._ids = np.zeros(0, np.int64)
        self._state, self._spread = np.zeros((0, 6)), np.zeros((0, 6, 6))
        self._seen = np.zeros(0)

    def update(
        self,
        time: float,
        tracks: Tracks,
        depth: Float32[np.ndarray, "height width"] | None,
        pose: object = None,
        masks: Bool[np.ndarray, "n height width"] | None = None,
    ) -> Velocities:
        """One frame on.

        Args:
            time: seconds; later than in the last call.
            tracks: of this frame; only boxes that were detected are measured.
            depth: metres of this frame, or None where there is none (every n-th frame has one).
            pose: 4×4 camera → world of this frame; either in every call or in none.
            masks: bool [N, height, width] of the tracks.

        Raises:
            DataError: time does not go on, poses come and go, or a pose is not rigid.
        """
        self._advance(time, pose is not None)
        if depth is not None and len(tracks):
            depths = object_depths(depth, tracks.boxes, masks, self.config)
            depths[tracks.detections < 0] = np.nan
            placed = np.eye(4) if pose is None else require_pose(pose)
            believed = self._expected_depths(tracks.ids, depths, placed)
            pixels = centres(tracks.boxes, masks)
            points, spread = to_world(*lift(pixels, depths, self.intrinsics, self.config, believed), placed)
            good = np.isfinite(depths)
            self._measure(time, tracks.ids[good], points[good], spread[good])
        return self._report(time, tracks.ids)

    def expected(self, time: float, ids: Int64[np.ndarray, "n"]) -> Velocities | None:
        """Where these objects are expected at a later time, the filter left as it is; None before any update.

        For depth that takes longer than a frame: `update` is told of the frame the depth was seen in, and
        this says what follows from it for now.

        Raises:
            DataError: `time` lies before the last update.
        """
        if self._time is None or self._frame is None:
            return None
        if time < self._time:
            raise DataError(
                "the past is not expected",
                where="velocity",
                expected=f"a time not before {self._time} s",
                got=f"{time} s",
            )
        rows = np.isin(self._ids, ids) & (time - self._seen <= self.config.max_gap)
        state, spread = predict(self._state[rows], self._spread[rows], time - self._time, self.config)
        never = np.zeros(int(rows.sum()), bool)
        return Velocities(self._ids[rows], state[:, :3], state[:, 3:], spread, never, self._frame)

    def _advance(self, time: float, world: bool) -> None:
        frame: Literal["world", "camera"] = "world" if world else "camera"
        step = 0.0 if self._time is None else time - self._time
        backwards = self._time is not None and not step > 0
        if backwards or self._frame not in (None, frame) or not np.isfinite(time):
            raise DataError(
                "frames do not follow on each other",
                where="velocity",
                expected=f"a time after {self._time} s, in the {self._frame} frame",
                got=f"{time} s, in the {frame} frame",
                next_step="give poses for all frames or none, times in order, or reset between videos",
            )
        self._time, self._frame = time, frame
        keep = time - self._seen <= self.config.max_gap
        self._ids, self._seen = self._ids[keep], self._seen[keep]
        self._state, self._spread = predict(self._state[keep], self._spread[keep], step, self.config)

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        """int64 row of each identity, -1 where there is none."""
        rows = {ident: row for row, ident in enumerate(self._ids.tolist())}
        return np.array([rows.get(ident, -1) for ident in ids.tolist()], np.int64)

    def _expected_depths(self, ids: np.ndarray, depths: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """Depth at which each object is expected, or measured where none is."""
        rows = self._rows(ids)
        known = rows >= 0
        expected = depths.copy()
        expected[known] = (self._state[rows[known], :3] - pose[:3, 3]) @ pose[:3, 2]
        return np.where(expected > self.config.nearest, expected, depths)

    def _measure(self, time: float, ids: np.ndarray, points: np.ndarray, spread: np.ndarray) -> None:
        rows = self._rows(ids)
        known = rows >= 0
        rows = rows[known]
        self._state[rows], self._spread[rows] = correct(
            self._state[rows], self._spread[rows], points[known], spread[known], self.config.gate
        )
        self._seen[rows] = time
        self._begin(time, ids[~known], points[~known], spread[~known])

    def _begin(self, time: float, ids: np.ndarray, points: np.ndarray, spread: np.ndarray) -> None:
        covariance = np.zeros((len(ids), 6, 6))
        covariance[:, :3, :3] = spread
        covariance[:, 3:, 3:] = np.eye(3) * self.config.start_speed**2
        self._ids = np.concatenate([self._ids, ids])
        self._state = np.concatenate([self._state, np.concatenate([points, np.zeros_like(points)], axis=1)])
        self._spread = np.concatenate([self._spread, covariance])
        self._seen = np.concatenate([self._seen, np.full(len(ids), time)])

    def _report(self, time: float, ids: np.ndarray) -> Velocities:
        wanted = np.isin(self._ids, ids)
        state, spread = self._state[wanted], self._spread[wanted]
        assert self._frame is not None
        return Velocities(
            self._ids[wanted], state[:, :3], state[:, 3:], spread, self._seen[wanted] == time, self._frame
        )


def predict(
    state: Float64[np.ndarray, "n 6"],
    spread: Float64[np.ndarray, "n 6 6"],
    step: float,
    config: VelocityConfig,
) -> tuple[Float64[np.ndarray, "n 6"], Float64[np.ndarray, "n 6 6"]]:
    """States `step` seconds on: constant velocity disturbed by white acceleration."""
    move = np.eye(6)
    move[:3, 3:] = np.eye(3) * step
    density = config.acceleration**2
    noise = np.zeros((6, 6))
    noise[:3, :3] = np.eye(3) * density * step**3 / 3
    noise[:3, 3:] = noise[3:, :3] = np.eye(3) * density * step**2 / 2
    noise[3:, 3:] = np.eye(3) * density * step
    return state @ move.T, move @ spread @ move.T + noise


def correct(
    state: Float64[np.ndarray, "n 6"],
    spread: Float64[np.ndarray, "n 6 6"],
    points: Float64[np.ndarray, "n 3"],
    noise: Float64[np.ndarray, "n 3 3"],
    gate: float,
) -> tuple[Float64[np.ndarray, "n 6"], Float64[np.ndarray, "n 6 6"]]:
    """States corrected by measured points; one beyond the gate counts as if its noise were larger."""
    off = points - state[:, :3]
    total = spread[:, :3, :3] + noise
    distance = np.einsum("ni,nij,nj->n", off, np.linalg.inv(total), off)
    total = total + noise * np.maximum(distance / gate - 1, 0)[:, None, None]
    gain = np.linalg.solve(total, spread[:, :3, :]).transpose(0, 2, 1)
    state = state + np.einsum("nij,nj->ni", gain, off)
    spread = spread - gain @ total @ gain.transpose(0, 2, 1)
    return state, (spread + spread.transpose(0, 2, 1)) / 2


def radial_and_lateral(
    vectors: Float64[np.ndarray, "n 3"],
    positions: Float64[np.ndarray, "n 3"],
    camera: Float64[np.ndarray, "3"],
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Of each vector, the part along the line from the camera (away is positive), and the rest's length."""
    ray = positions - camera
    ray = ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9)
    radial = np.einsum("ni,ni->n", vectors, ray)
    return radial, np.linalg.norm(vectors - radial[:, None] * ray, axis=1)
