"""How right depth is over the frames of one camera, beside what needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_vision.depth.evaluation import DepthScore, pixel_mean, score


@dataclass(frozen=True)
class DepthScores:
    """Depth of the network beside what needs none, on all pixels and on those of moving objects.

    “pixel mean”: of each pixel over the very frames that are measured; “constant”: one depth for all. Both
    know what they are measured on.
    """

    all: dict[str, DepthScore]
    moving: dict[str, DepthScore]
    frames: int


def score_depths(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> DepthScores | None:
    """Scores of frames; None where nothing is known of any.

    Args:
        rows: of each frame, what is said, what is true and what moves, [height, width] each, metres; 0: not
            known.
    """
    if not any((true > 0).any() for _, true, _ in rows):
        return None
    parts = zip(*rows, strict=True)
    said, true, moving = (np.concatenate([one.ravel() for one in part]) for part in parts)
    true = true.astype(np.float32)
    methods = {"network": said.astype(np.float32)}
    if len({row[1].shape for row in rows}) == 1:
        methods["pixel mean"] = np.tile(pixel_mean(np.stack([row[1] for row in rows])).ravel(), len(rows))
    middle = np.exp(np.log(true[true > 0].astype(np.float64)).mean())
    methods["constant"] = np.full(true.shape, middle, np.float32)
    everywhere = {name: score(p, true) for name, p in methods.items()}
    where_moving = {name: score(p, true, moving) for name, p in methods.items()}
    return DepthScores(
        {name: s for name, s in everywhere.items() if s is not None},
        {name: s for name, s in where_moving.items() if s is not None},
        len(rows),
    )
