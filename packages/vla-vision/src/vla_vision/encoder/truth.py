"""Where the things of each class truly are, frame by frame: what a supervised head and a probe aim at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from vla_data.objects import BOXES, VISIBLE, in_camera, is_labelled, object_names
from vla_data.types import Episode


@dataclass(frozen=True, eq=False)
class ClassTruth:
    """Of each class, the object of which most is seen.

    Args:
        visible: whether any of it is seen.
        position, velocity: of its centre, in the camera's axes, metres and m/s over the ground.
    """

    visible: Bool[np.ndarray, "*lead classes"]
    position: Float32[np.ndarray, "*lead classes 3"]
    velocity: Float32[np.ndarray, "*lead classes 3"]


def class_truth(episode: Episode, camera: str, class_names: Sequence[str]) -> ClassTruth | None:
    """Of every step of an episode, [T, classes]; None where it has no labels of that camera.

    Raises:
        DataError: its labels do not belong together.
    """
    if not is_labelled(episode) or BOXES + camera not in episode.series:
        return None
    names, steps = object_names(episode), np.arange(len(episode))
    pixels = np.asarray(episode.series[VISIBLE + camera])
    space = in_camera(episode, camera)
    visible = np.zeros((len(episode), len(class_names)), bool)
    found = np.zeros((2, len(episode), len(class_names), 3), np.float32)
    for k, name in enumerate(class_names):
        rows = np.array([i for i, n in enumerate(names) if n.kind == name], np.int64)
        if not len(rows):
            continue
        best = rows[pixels[:, rows].argmax(axis=1)]
        visible[:, k] = pixels[steps, best] > 0
        for values, out in zip(space, found, strict=True):
            out[:, k] = np.where(visible[:, k, None], values[steps, best], 0)
    return ClassTruth(visible, found[0], found[1])
