"""The objects in a frame as the simulator knew them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.errors import DataError
from vla_data.objects import (
    BOXES,
    MASKS,
    POSITION,
    VELOCITY,
    VISIBLE,
    in_camera,
    labelled_cameras,
    object_names,
)
from vla_data.types import Episode
from vla_vision.types import Detections


@dataclass(frozen=True, eq=False)
class Motion:
    """Where N objects are and how they move, of their centres: metres and m/s, world frame.

    Args:
        camera_position, camera_velocity: the same in the camera's axes (x right, y down, z forward); the
            velocity is still that over the ground.
    """

    position: Float32[np.ndarray, "n 3"]
    velocity: Float32[np.ndarray, "n 3"]
    camera_position: Float32[np.ndarray, "n 3"]
    camera_velocity: Float32[np.ndarray, "n 3"]


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """The N objects of one frame.

    Args:
        step: of the episode.
        ids: from 1, the same object throughout an episode.
        objects: boxes, classes and, where asked for, masks; scores are 1 unless a teacher gave them.
        motion: None where nobody knows.
    """

    step: int
    ids: Int64[np.ndarray, "n"]
    objects: Detections
    motion: Motion | None = None


@dataclass
class LabelCounts:
    """What was written and what was left out.

    Args:
        frames, objects: written; `empty` frames show no object and say so.
        hidden: objects that no pixel shows.
        tiny: with less than `min_pixels`.
        other_class: of classes that were not asked for.
        damaged: frames whose picture cannot be read.
        black: frames that show nothing; of no use for training, kept in sequences.
        classes: class → objects.
        filled, fleeting: pseudo-labels: boxes put into gaps; detections whose track was too short.
    """

    frames: int = 0
    objects: int = 0
    empty: int = 0
    hidden: int = 0
    tiny: int = 0
    other_class: int = 0
    damaged: int = 0
    black: int = 0
    filled: int = 0
    fleeting: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, labels: FrameLabels) -> None:
        """Count a frame that was written."""
        self.frames += 1
        self.objects += len(labels.ids)
        self.empty += not len(labels.ids)
        self.classes.update(labels.objects.class_names[i] for i in labels.objects.classes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what did not occur is left out, but for frames, objects and empty."""
        always = ("frames", "objects", "empty")
        found = {k: v for k, v in vars(self).items() if k in always or v}
        return found | {"classes": dict(sorted(self.classes.items()))}


def true_labels(
    episode: Episode,
    camera: str,
    class_names: Sequence[str],
    *,
    every: int = 1,
    min_pixels: int = 1,
    masks: bool = False,
    counts: LabelCounts | None = None,
) -> Iterator[FrameLabels]:
    """The labels of one camera of a labelled episode, frame by frame.

    Args:
        class_names: what classes count, in the order of their numbers; objects of others are left out.
        every: one frame in so many.
        min_pixels: objects with fewer visible pixels are left out.
        masks: give masks too; the episode must have been read with images.
        counts: what is left out is added here.

    Raises:
        DataError: the episode has no labels of this camera.
    """
    names, counts = object_names(episode), counts or LabelCounts()
    boxes, visible = _series(episode, BOXES, camera), _series(episode, VISIBLE, camera)
    table = _series(episode, MASKS, camera) if masks else None
    known = {name: i for i, name in enumerate(class_names)}
    kinds = np.array([known.get(n.kind, -1) for n in names], np.int64)
    moves = *in_camera(episode, camera), episode.series[POSITION], episode.series[VELOCITY]
    for step in range(0, len(episode), every):
        pixels = visible[step, : len(names)]
        counts.hidden += int((pixels == 0).sum())
        counts.tiny += int(((pixels > 0) & (pixels < min_pixels)).sum())
        seen = pixels >= max(1, min_pixels)
        counts.other_class += int((seen & (kinds < 0)).sum())
        rows = np.flatnonzero(seen & (kinds >= 0))
        found = Detections(
            boxes[step, rows],
            np.ones(len(rows), np.float32),
            kinds[rows],
            tuple(class_names),
            None if table is None else table[step][None] == (rows + 1)[:, None, None],
        )
        place, speed, position, velocity = (m[step, rows] for m in moves)
        yield FrameLabels(step, rows + 1, found, Motion(position, velocity, place, speed))


def _series(episode: Episode, kind: str, camera: str) -> np.ndarray:
    found = episode.series.get(kind + camera)
    if found is None:
        raise DataError(
            "an episode has no labels of this camera",
            where=f"episode {episode.id}, series {kind}{camera}",
            expected="one of " + (", ".join(labelled_cameras(episode)) or "none: no camera has any"),
            got=camera,
        )
    return np.asarray(found)
