"""Frames as arrays of fixed size: what perception leaves for the encoder, stored once and read many times.

numpy only; picklable. Training and inference get the same values from the same function
(`FeatureExtractor`). Axes named *lead: none for one frame, T for a clip, B and K for a batch of windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float16, Float32, Float64, Int64, UInt8

from vla_data.errors import DataError
from vla_vision.encoder.config import FeatureConfig

OBJECTS = "objects."  # prefix of the table's columns among the arrays


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The objects of a frame, a row each; rows without one hold zeros.

    Args:
        valid: the row holds an object that is tracked in this frame.
        seen: it was detected in this frame; else its box is predicted.
        placed: its place in space is known.
        ids: identity given by the tracker, from 1; 0 for none.
        slots: identity in a small number: the same object has the same one while it lives.
        kinds: class number, see `FeatureConfig.class_names`.
        scores: of the detection seen last.
        boxes: x1 y1 x2 y2 as shares of the frame's width and height; beyond [0, 1] where it leaves the frame.
        motion: of the box's centre, frame widths and heights a second.
        depths: metres along the optical axis, 0 where unknown.
        position, velocity: in the camera's axes (x right, y down, z forward), metres and m/s. With
            `FrameFeatures.in_world` the velocity is that over the ground, turned into these axes; else the
            camera's own motion is part of it.
        position_std, velocity_std: standard deviations along the same axes.
        world_position … world_velocity_std: the same in the world frame; zeros unless `in_world`.
        looks: appearance, about of length 1; zeros where nobody looked.
    """

    valid: Bool[np.ndarray, "*lead n"]
    seen: Bool[np.ndarray, "*lead n"]
    placed: Bool[np.ndarray, "*lead n"]
    ids: Int64[np.ndarray, "*lead n"]
    slots: Int64[np.ndarray, "*lead n"]
    kinds: Int64[np.ndarray, "*lead n"]
    scores: Float32[np.ndarray, "*lead n"]
    boxes: Float32[np.ndarray, "*lead n 4"]
    motion: Float32[np.ndarray, "*lead n 2"]
    depths: Float32[np.ndarray, "*lead n"]
    position: Float32[np.ndarray, "*lead n 3"]
    velocity: Float32[np.ndarray, "*lead n 3"]
    position_std: Float32[np.ndarray, "*lead n 3"]
    velocity_std: Float32[np.ndarray, "*lead n 3"]
    world_position: Float32[np.ndarray, "*lead n 3"]
    world_velocity: Float32[np.ndarray, "*lead n 3"]
    world_position_std: Float32[np.ndarray, "*lead n 3"]
    world_velocity_std: Float32[np.ndarray, "*lead n 3"]
    looks: Float16[np.ndarray, "*lead n look"]


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """What is kept of a frame.

    Args:
        time: seconds.
        in_world: where the camera is, is known: see `ObjectTable`.
        rgb: the whole frame, scaled to the encoder's size.
        depth: metres, 0 where unknown; all 0 where the depth is relative or there is none.
        flow: where each pixel came from: frame widths and heights a second, x right, y down.
        flow_known: false for the first frame, and where no flow is computed; `flow` is then 0.
        objects: see `ObjectTable`.
    """

    time: Float64[np.ndarray, "*lead"]
    in_world: Bool[np.ndarray, "*lead"]
    rgb: UInt8[np.ndarray, "*lead height width 3"]
    depth: Float16[np.ndarray, "*lead height width"]
    flow: Float16[np.ndarray, "*lead height width 2"]
    flow_known: Bool[np.ndarray, "*lead"]
    objects: ObjectTable

    def __getitem__(self, index: object) -> FrameFeatures:
        """Of a clip or batch, what `index` picks along the leading axes."""
        return from_arrays({name: np.asarray(a[index]) for name, a in self.arrays().items()})  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.time)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name → array; the table's columns as `objects.boxes` and so on."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "objects"}
        return own | {f"{OBJECTS}{f.name}": getattr(self.objects, f.name) for f in fields(self.objects)}

    def fits(self, config: FeatureConfig) -> bool:
        """Whether these are features of that size."""
        n, dim = self.objects.looks.shape[-2:]
        return (n, dim, *self.rgb.shape[-3:-1]) == (config.rows, config.look_dim, config.height, config.width)


def from_arrays(arrays: Mapping[str, np.ndarray]) -> FrameFeatures:
    """The inverse of `FrameFeatures.arrays`; other names are ignored.

    Raises:
        DataError: an array is missing.
    """
    names = [f.name for f in fields(FrameFeatures) if f.name != "objects"]
    columns = [f.name for f in fields(ObjectTable)]
    missing = [n for n in (*names, *(OBJECTS + c for c in columns)) if n not in arrays]
    if missing:
        raise DataError(
            "features are not whole",
            where="from_arrays",
            expected="every array",
            got="no " + ", ".join(missing),
        )
    table = ObjectTable(**{c: arrays[OBJECTS + c] for c in columns})
    return FrameFeatures(**{n: arrays[n] for n in names}, objects=table)


def stack(frames: Sequence[FrameFeatures]) -> FrameFeatures:
    """Many of one size as one, with another leading axis."""
    every = [frame.arrays() for frame in frames]
    return from_arrays({name: np.stack([arrays[name] for arrays in every]) for name in every[0]})


def empty_table(config: FeatureConfig) -> dict[str, np.ndarray]:
    """The columns of a table without an object, to be filled."""
    n, one, three = config.rows, (config.rows,), (config.rows, 3)
    whole = {name: np.zeros(one, np.int64) for name in ("ids", "kinds")}
    flags = {name: np.zeros(one, bool) for name in ("valid", "seen", "placed")}
    spaces = ("position", "velocity", "position_std", "velocity_std")
    space = {f"{frame}{name}": np.zeros(three, np.float32) for frame in ("", "world_") for name in spaces}
    return {
        **flags,
        **whole,
        **space,
        "slots": np.arange(n, dtype=np.int64),
        "scores": np.zeros(one, np.float32),
        "boxes": np.zeros((n, 4), np.float32),
        "motion": np.zeros((n, 2), np.float32),
        "depths": np.zeros(one, np.float32),
        "looks": np.zeros((n, config.look_dim), np.float16),
    }
