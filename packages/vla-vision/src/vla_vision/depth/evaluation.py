"""How right depth is: the usual three figures, beside what needs no network at all.

AbsRel, δ1 and RMSE are those of Eigen et al. 2014 (arXiv:1406.2283). The two baselines know the very camera
they are measured on: the mean depth of each pixel over training episodes, and one constant. The first is hard
to beat where nothing moves and is what a network has to beat where something does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from vla_vision.depth.frames import DepthFrames

CLOSE = 1.25
Predict = Callable[[DepthFrames], Float32[np.ndarray, "n h w"]]


@dataclass(frozen=True)
class DepthScore:
    """Errors over some pixels.

    Args:
        abs_rel: mean |predicted − true| / true.
        delta1: share with predicted / true within 1/1.25 … 1.25.
        rmse: root mean square error, metres.
        pixels: how many.
    """

    abs_rel: float
    delta1: float
    rmse: float
    pixels: int


@dataclass(frozen=True)
class CameraScore:
    """One camera: each method on all pixels and on those of moving objects (None: there are none)."""

    camera: str
    frames: int
    all: Mapping[str, DepthScore]
    moving: Mapping[str, DepthScore] | None


def score(
    predicted: Float32[np.ndarray, "*shape"],
    true: Float32[np.ndarray, "*shape"],
    where: Bool[np.ndarray, "*shape"] | None = None,
) -> DepthScore | None:
    """Errors where the truth is known (positive, finite), and `where` says so; None where that is nowhere.

    A prediction that is not positive and finite counts as wrong: as 1 mm.
    """
    known = np.isfinite(true) & (true > 0)
    known &= True if where is None else where
    if not known.any():
        return None
    p, t = predicted[known].astype(np.float64), true[known].astype(np.float64)
    p = np.where(np.isfinite(p) & (p > 1e-3), p, 1e-3)
    off = p - t
    return DepthScore(
        float((np.abs(off) / t).mean()),
        float((np.maximum(p / t, t / p) < CLOSE).mean()),
        float(np.sqrt((off**2).mean())),
        int(known.sum()),
    )


def evaluate(predict: Predict, learnt: DepthFrames, held: DepthFrames) -> list[CameraScore]:
    """The network on held-out frames of every camera, beside baselines from training episodes of that camera.

    Args:
        learnt: frames of training episodes, also of a camera that the network never learnt from.
        held: frames of other episodes.
    """
    found = []
    for camera in held.cameras:
        frames = held.of_camera(camera)
        if not len(frames):
            continue
        true = frames.depth.astype(np.float32)
        methods = {"network": predict(frames), **_baselines(learnt.of_camera(camera), true.shape)}
        overall = {name: score(p, true) for name, p in methods.items()}
        moving = {name: score(p, true, frames.moving) for name, p in methods.items()}
        found.append(CameraScore(camera, len(frames), _all(overall) or {}, _all(moving)))
    return found


def pixel_mean(depth: np.ndarray) -> Float32[np.ndarray, "h w"]:
    """Mean depth of each pixel over frames [N, h, w] where it is known; the mean of all where it never is."""
    known = depth > 0
    values = np.where(known, depth.astype(np.float64), 0)
    count = known.sum(0)
    overall = values.sum() / max(1, known.sum())
    return np.where(count > 0, values.sum(0) / np.maximum(count, 1), overall).astype(np.float32)


def _baselines(learnt: DepthFrames, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    if not len(learnt):
        return {}
    known = learnt.depth[learnt.depth > 0].astype(np.float64)
    constant = np.exp(np.log(known).mean()) if len(known) else 1.0
    return {
        "pixel mean": np.broadcast_to(pixel_mean(learnt.depth), shape),
        "constant": np.full(shape, constant, np.float32),
    }


def _all(scores: Mapping[str, DepthScore | None]) -> dict[str, DepthScore] | None:
    kept = {name: s for name, s in scores.items() if s is not None}
    return kept or None
