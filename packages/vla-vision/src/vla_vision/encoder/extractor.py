"""From percepts to features, frame by frame: the same for stored training data and for a running robot."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.errors import DataError
from vla_vision.encoder.channels import dense_depth, dense_flow, dense_rgb
from vla_vision.encoder.config import FeatureConfig
from vla_vision.encoder.features import FrameFeatures, ObjectTable, empty_table
from vla_vision.encoder.slots import Slots
from vla_vision.perception.percept import Percept
from vla_vision.types import Tracks
from vla_vision.velocity.filter import Velocities
from vla_vision.velocity.flow import per_second
from vla_vision.velocity.lifting import require_pose


class FeatureExtractor:
    """Turns the percepts of one video into features; `reset` begins another.

    Numpy and OpenCV, no torch.

    Args:
        config: see `FeatureConfig`.

    Attributes:
        left_out: objects that found no row, over all frames.
    """

    def __init__(self, config: FeatureConfig | None = None) -> None:
        self.config = config or FeatureConfig()
        self._kinds = {name: i for i, name in enumerate(self.config.class_names)}
        self._slots = Slots(self.config.rows, self.config.hold)
        self.left_out = 0
        self.reset()

    def reset(self) -> None:
        """The next percept is the first of another video."""
        self._slots.reset()
        self._time: float | None = None
        self._looks: dict[int, np.ndarray] = {}

    def update(self, percept: Percept) -> FrameFeatures:
        """The next frame's features.

        Raises:
            DataError: the frame has no picture, time does not go on, or a pose is not rigid.
        """
        seconds = self._advance(percept)
        c, image = self.config, percept.image
        assert image is not None
        known = percept.flow is not None and seconds > 0
        flow = (
            dense_flow(percept.flow, seconds, c.height, c.width)
            if known and percept.flow is not None
            else np.zeros((c.height, c.width, 2), np.float16)
        )
        said = percept.velocities
        return FrameFeatures(
            time=np.asarray(percept.time, np.float64),
            in_world=np.asarray(said is not None and said.frame == "world"),
            rgb=dense_rgb(image, c.height, c.width),
            depth=dense_depth(percept.depth, c.height, c.width, c.max_depth),
            flow=flow,
            flow_known=np.asarray(known),
            objects=self._table(percept, seconds),
        )

    def _advance(self, percept: Percept) -> float:
        """Seconds since the frame before; 0 for the first."""
        before, self._time = self._time, percept.time
        if (
            percept.image is None
            or not np.isfinite(percept.time)
            or (before is not None and percept.time <= before)
        ):
            raise DataError(
                "a frame cannot be turned into features",
                where=f"frame {percept.index}",
                expected=f"a picture, at a time after {before} s"
                if before is not None
                else "a picture and its time",
                got="no picture" if percept.image is None else f"{percept.time} s",
                next_step="give frames in order; reset between videos",
            )
        return 0.0 if before is None else percept.time - before

    def _table(self, percept: Percept, seconds: float) -> ObjectTable:
        tracks, c = percept.tracks, self.config
        rows = self._slots.assign(percept.time, tracks.ids, tracks.scores)
        self._remember_looks(percept)
        kept = np.flatnonzero(rows >= 0)
        self.left_out += len(tracks) - len(kept)
        columns, rows = empty_table(c), rows[kept]
        columns["valid"][rows] = True
        columns["ids"][rows] = tracks.ids[kept]
        columns["seen"][rows] = tracks.detections[kept] >= 0
        columns["kinds"][rows] = self._numbers(tracks)[kept]
        columns["scores"][rows] = tracks.scores[kept]
        columns["boxes"][rows], columns["motion"][rows] = (a[kept] for a in self._shares(percept, seconds))
        if percept.depths is not None and percept.depth is not None and percept.depth.kind == "metric":
            columns["depths"][rows] = np.nan_to_num(percept.depths[kept])
        for row, ident in zip(rows, tracks.ids[kept].tolist(), strict=True):
            columns["looks"][row] = self._looks.get(ident, 0)
        if percept.velocities is not None:
            _place(columns, percept.velocities, percept.pose)
        return ObjectTable(**columns)

    def _numbers(self, tracks: Tracks) -> np.ndarray:
        """Class numbers by name: a detector may count its classes otherwise."""
        other = len(self._kinds)
        names = [self._kinds.get(name, other) for name in tracks.class_names]
        return np.array([names[k] if k < len(names) else other for k in tracks.classes.tolist()], np.int64)

    def _shares(
        self, percept: Percept, seconds: float
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, "n 2"]]:
        """Boxes and their motion as shares of the frame."""
        assert percept.image is not None
        height, width = percept.image.shape[:2]
        size = np.array([width, height], np.float32)
        motion = percept.tracks.velocities / size
        moving = per_second(motion, seconds) if seconds > 0 else np.zeros_like(motion)
        return np.nan_to_num(percept.tracks.boxes / np.tile(size, 2)), np.nan_to_num(moving)

    def _remember_looks(self, percept: Percept) -> None:
        """How each track looked when it was last detected; forgotten with its row."""
        held = self._slots.held
        self._looks = {i: look for i, look in self._looks.items() if i in held}
        looks, tracks = percept.detections.embeddings, percept.tracks
        for i in np.flatnonzero(tracks.detections >= 0) if looks is not None else ():
            ident = int(tracks.ids[i])
            if ident in held and looks is not None:
                self._looks[ident] = short_look(looks[tracks.detections[i]], self.config.look_dim)


def short_look(look: np.ndarray, dim: int) -> np.ndarray:
    """An appearance of any length in `dim` numbers that keep about its length and angles to others.

    By random signs (Achlioptas 2003), which follow from their place alone: the same everywhere, for ever.
    """
    if len(look) == dim:
        return look.astype(np.float16)
    return (look @ _signs(len(look), dim) / np.sqrt(dim)).astype(np.float16)


@lru_cache(8)
def _signs(rows: int, columns: int) -> Float32[np.ndarray, "{rows} {columns}"]:
    """±1 from a hash of each place (the finaliser of SplitMix64)."""
    place = np.arange(rows, dtype=np.uint64)[:, None] << np.uint64(32) | np.arange(columns, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        place = (place ^ (place >> np.uint64(shift))) * np.uint64(factor)
    return np.where(place >> np.uint64(63), np.float32(1), np.float32(-1))


def _place(columns: dict[str, np.ndarray], said: Velocities, pose: object) -> None:
    """Fill in what is known of places in space, in the camera's axes and, with a pose, in the world's."""
    where = {ident: row for row, ident in enumerate(columns["ids"].tolist()) if columns["valid"][row]}
    known = [k for k, ident in enumerate(said.ids.tolist()) if ident in where]
    rows = [where[ident] for ident in said.ids[known].tolist()]
    columns["placed"][rows] = True
    own = (said.positions[known], said.velocities[known], said.covariances[known])
    if said.frame == "world":
        _fill(columns, "world_", rows, *own)
        own = _to_camera(*own, require_pose(pose))
    _fill(columns, "", rows, *own)


def _to_camera(
    positions: Float64[np.ndarray, "n 3"],
    velocities: Float64[np.ndarray, "n 3"],
    covariances: Float64[np.ndarray, "n 6 6"],
    pose: Float64[np.ndarray, "4 4"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World → camera axes, by the pose camera → world."""
    turn = pose[:3, :3]
    both = np.kron(np.eye(2), turn)
    return (positions - pose[:3, 3]) @ turn, velocities @ turn, both.T @ covariances @ both


def _fill(columns: dict[str, np.ndarray], frame: str, rows: list[int], *values: np.ndarray | Any) -> None:
    positions, velocities, covariances = values
    spread = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0))
    columns[f"{frame}position"][rows], columns[f"{frame}velocity"][rows] = positions, velocities
    columns[f"{frame}position_std"][rows] = spread[:, :3]
    columns[f"{frame}velocity_std"][rows] = spread[:, 3:]
