"""Where the objects of a scene are, exactly: what a simulator knows and a camera can only guess.

A labelled episode carries a table of objects. Row i is the same object at every step; the table has as many
rows as its data set allows, and those beyond the objects of a scene hold zeros. Of T steps and N rows:

| series | | |
|---|---|---|
| `objects/position` | float32 [T, N, 3] | centre of the object (of the box around it), metres, world frame |
| `objects/velocity` | float32 [T, N, 3] | of that point, m/s, world frame |
| `objects/boxes/<camera>` | float32 [T, N, 4] | x1 y1 x2 y2 around the visible pixels; zeros where none is |
| `objects/visible/<camera>` | int32 [T, N] | number of visible pixels |
| `segmentation/<camera>` | uint8 [T, height, width] | row + 1 of the object in each pixel; 0: none |

Boxes count from the upper left corner of the first pixel, which is (0, 0); `Camera.intrinsics` from its
centre: a projected point (u, v) lies at (u + ½, v + ½) among boxes. The names are JSON in
`metadata["objects"]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from vla_data.errors import DataError
from vla_data.types import Episode, Observation

NAMES = "objects"
POSITION, VELOCITY = "objects/position", "objects/velocity"
BOXES, VISIBLE, MASKS = "objects/boxes/", "objects/visible/", "segmentation/"
MAX_OBJECTS = 254  # rows that fit the numbers of a mask


@dataclass(frozen=True)
class ObjectName:
    """An object: its own name in its scene, and the class it belongs to."""

    name: str
    kind: str


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """The table at one instant, N rows.

    Args:
        position: centres, metres, world frame.
        velocity: of the centres, m/s, world frame.
        masks: camera → row + 1 in each pixel, 0 where no object is.
    """

    position: Float32[np.ndarray, "n 3"]
    velocity: Float32[np.ndarray, "n 3"]
    masks: Mapping[str, UInt8[np.ndarray, "height width"]] = field(default_factory=dict)


@runtime_checkable
class LabelledEnv(Protocol):
    """What a `SimEnv` may offer besides: the truth about the objects in view.

    `label` takes what `observe` with `segmentation=True` gave of these slots, before another step.
    """

    @property
    def object_rows(self) -> int: ...
    def object_names(self, slot: int) -> tuple[ObjectName, ...]: ...
    def label(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[ObjectTruth]: ...


def mask_boxes(
    mask: UInt8[np.ndarray, "height width"], rows: int
) -> tuple[Float32[np.ndarray, "rows 4"], Int32[np.ndarray, "rows"]]:
    """The box around the pixels of each row, x1 y1 x2 y2, and their number."""
    boxes, visible = np.zeros((rows, 4), np.float32), np.zeros(rows, np.int32)
    visible[:] = np.bincount(mask.reshape(-1), minlength=rows + 1)[1 : rows + 1]
    for row in np.flatnonzero(visible):
        inside = mask == row + 1
        x, y = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
        boxes[row] = x[0], y[0], x[-1] + 1, y[-1] + 1
    return boxes, visible


def mask_series(masks: np.ndarray, rows: int, camera: str) -> dict[str, np.ndarray]:
    """The series that follow from the masks of one camera, uint8 [T, height, width]: boxes and pixels."""
    boxes, visible = np.zeros((len(masks), rows, 4), np.float32), np.zeros((len(masks), rows), np.int32)
    for step, mask in enumerate(masks):
        boxes[step], visible[step] = mask_boxes(mask, rows)
    return {BOXES + camera: boxes, VISIBLE + camera: visible}


def truth_series(truths: Sequence[ObjectTruth]) -> dict[str, np.ndarray]:
    """The series of T tables."""
    rows = len(truths[0].position)
    series = {
        POSITION: np.stack([t.position for t in truths]),
        VELOCITY: np.stack([t.velocity for t in truths]),
    }
    for camera in truths[0].masks:
        masks = np.stack([t.masks[camera] for t in truths])
        series |= {MASKS + camera: masks, **mask_series(masks, rows, camera)}
    return series


def names_text(names: Sequence[ObjectName]) -> str:
    """What `metadata["objects"]` holds."""
    return json.dumps([{"name": n.name, "kind": n.kind} for n in names])


def is_labelled(episode: Episode) -> bool:
    """Whether an episode says what its objects are."""
    return NAMES in episode.metadata


def object_names(episode: Episode) -> tuple[ObjectName, ...]:
    """The objects of a labelled episode, in the order of the table's rows.

    Raises:
        DataError: it has no labels, or they are not as they were written.
    """
    where = f"episode {episode.id}"
    if not is_labelled(episode):
        raise DataError(
            "an episode without labels",
            where=where,
            expected="boxes, masks and velocities of its objects",
            got="none",
            next_step="vla data generate SIM --labels makes such episodes; without labels, name a --teacher",
        )
    try:
        names = tuple(
            ObjectName(str(n["name"]), str(n["kind"])) for n in json.loads(str(episode.metadata[NAMES]))
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            "the names of an episode's objects cannot be read", where=where, got=str(error)
        ) from None
    series = episode.series.get(POSITION)
    if series is None or series.ndim != 3 or series.shape[1] < len(names):
        raise DataError(
            "the labels of an episode do not belong together",
            where=where,
            expected=f"{POSITION} of at least {len(names)} rows",
            got="none" if series is None else str(list(series.shape)),
        )
    return names


def labelled_cameras(episode: Episode) -> tuple[str, ...]:
    """The cameras an episode has boxes for."""
    return tuple(sorted(n.removeprefix(BOXES) for n in episode.series if n.startswith(BOXES)))


def camera_poses(episode: Episode, camera: str) -> Float32[np.ndarray, "time 4 4"]:
    """Camera → world at every step.

    Raises:
        DataError: nothing is known of where the camera is.
    """
    moving = episode.series.get(f"pose/{camera}")
    if moving is not None:
        return np.asarray(moving, np.float32)
    known = episode.cameras.get(camera)
    if known is None or known.pose is None:
        raise DataError(
            "nobody knows where a camera is",
            where=f"episode {episode.id}, camera {camera}",
            expected=f"Camera.pose, or the series pose/{camera}",
        )
    return np.repeat(np.array(known.pose, np.float32)[None], len(episode), axis=0)


def in_camera(episode: Episode, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities in the camera's axes (x right, y down, z forward), float32 [T, N, 3] both.

    The velocity is that over the ground, turned into the camera's axes: what the camera's own motion adds
    to how things seem to move is not in it.
    """
    poses = camera_poses(episode, camera)
    turn, place = poses[:, :3, :3], poses[:, None, :3, 3]
    position = np.einsum("tji,tnj->tni", turn, np.asarray(episode.series[POSITION]) - place)
    velocity = np.einsum("tji,tnj->tni", turn, np.asarray(episode.series[VELOCITY]))
    return position.astype(np.float32), velocity.astype(np.float32)
