"""A labeller fitted on episodes whose sub-steps are known: a logistic model of "here begins a new one".

Small on purpose: some twenty numbers a step, from the motion alone, a few weights, Newton's method in numpy.
It learns which cues count in a data set where thresholds set by hand do not fit; its file is JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vla_data.config import from_dict
from vla_data.errors import ConfigError
from vla_data.files import read_json, write_json
from vla_data.label.kinematic import pick_cuts, window_jumps
from vla_data.label.motion import Motion, full_speed, motion_of
from vla_data.label.scores import mean_f1
from vla_data.types import Episode, SubStep

WINDOWS = (1, 2, 3, 5, 8)
NEAR = 1  # a step beside a true cut is no example of either kind
RIDGE = 1e-2
ROUNDS = 25
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class BoundaryModel:
    """A fitted model.

    Args:
        mean, std: of each feature where it was fitted.
        weights: one a feature, the last for a constant 1.
        threshold: a step begins a sub-step from this probability on.
        min_steps: no sub-step is shorter.
        windows: that its features look through.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[float, ...]
    threshold: float
    min_steps: int
    windows: tuple[int, ...] = WINDOWS

    def __post_init__(self) -> None:
        count = feature_count(self.windows)
        if not len(self.mean) == len(self.std) == len(self.weights) - 1 == count:
            raise ConfigError(
                "a model of sub-steps does not fit its windows",
                where="BoundaryModel",
                expected=f"{count} means and deviations, {count + 1} weights",
                got=f"{len(self.mean)}, {len(self.std)} and {len(self.weights)}",
            )

    def probability(self, motion: Motion) -> np.ndarray:
        """That a sub-step begins, at each step, float64 [T]."""
        x = (step_features(motion, self.windows) - np.array(self.mean)) / np.array(self.std)
        return _sigmoid(np.concatenate([x, np.ones((len(x), 1))], axis=1) @ np.array(self.weights))

    def cuts(self, motion: Motion) -> list[int]:
        """Where sub-steps begin, without 0, in order."""
        return pick_cuts(self.probability(motion) / self.threshold, self.min_steps)

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> BoundaryModel:
        """Read what `save` wrote. Raises DataError or ConfigError when it is none."""
        return from_dict(cls, read_json(path), where=str(path))


def feature_count(windows: Sequence[int]) -> int:
    """Features a step."""
    return 3 * len(windows) + 3


def step_features(motion: Motion, windows: Sequence[int] = WINDOWS) -> Float64[np.ndarray, "time features"]:
    """What is looked at in each step, float64 [T, features], in parts of full speed or of the range."""
    moved, closing = motion.features, motion.closing
    grip = np.zeros((len(motion), 1)) if closing is None else closing[:, None]
    jumps = [window_jumps(moved, w) for w in windows]
    gripped = [window_jumps(grip, w) for w in windows]
    speed = np.linalg.norm(motion.travel, axis=1) / full_speed(motion.travel)
    slowing = [_sums(speed, w) for w in windows]
    turned = 1 - _cosine(moved)
    peak = jumps[0] * (jumps[0] >= _highest_near(jumps[0]))
    return np.stack([*jumps, *gripped, *slowing, speed, turned, peak], axis=1)


def fit(
    episodes: Sequence[Episode], *, min_steps: int = 3, windows: Sequence[int] = WINDOWS
) -> BoundaryModel:
    """Fit to the sub-steps that the episodes carry.

    Raises:
        ConfigError: no episode has two sub-steps, so that there is nothing to learn from.
    """
    windows = tuple(windows)
    motions = [motion_of(e) for e in episodes]
    x, y = _examples(motions, episodes, windows)
    if not y.any():
        raise ConfigError(
            "no episode to learn from",
            where="label.fit",
            expected="episodes of two sub-steps or more",
            got=f"{len(episodes)} episodes",
            next_step="generate demonstrations, which carry the phases of their experts",
        )
    mean, std = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    weights = _newton((x - mean) / std, y)
    m, s, w = (tuple(map(float, v)) for v in (mean, std, weights))
    models = [BoundaryModel(m, s, w, threshold, min_steps, windows) for threshold in THRESHOLDS]
    return max(models, key=lambda model: _score(model, motions, episodes))


def _examples(
    motions: Sequence[Motion], episodes: Sequence[Episode], windows: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    rows, marks = [], []
    for motion, episode in zip(motions, episodes, strict=True):
        cuts = np.array([s.start for s in episode.substeps if s.start > 0], np.int64)
        away = np.abs(np.arange(len(motion))[:, None] - cuts[None]).min(axis=1, initial=len(motion))
        used = (away == 0) | (away > NEAR)
        rows.append(step_features(motion, windows)[used])
        marks.append((away == 0)[used])
    return np.concatenate(rows), np.concatenate(marks).astype(np.float64)


def _newton(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of a ridge-penalised logistic regression in which cuts weigh as much as the rest together."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    importance = np.where(y == 1, 0.5 / y.sum(), 0.5 / max(1.0, len(y) - y.sum()))
    penalty = RIDGE * np.eye(x.shape[1])
    weights = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        p = _sigmoid(x @ weights)
        slope = x.T @ (importance * (p - y)) + penalty @ weights
        curve = (x * (importance * p * (1 - p))[:, None]).T @ x + penalty
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def _score(model: BoundaryModel, motions: Sequence[Motion], episodes: Sequence[Episode]) -> float:
    pairs = [(between(model.cuts(m), len(m)), e.substeps) for m, e in zip(motions, episodes, strict=True)]
    return mean_f1(pairs)


def between(cuts: Sequence[int], steps: int) -> tuple[SubStep, ...]:
    """The sub-steps that cuts divide T steps into, without a text."""
    edges = [0, *cuts, steps]
    return tuple(SubStep(a, b, "") for a, b in itertools.pairwise(edges) if b > a)


def _sums(speed: np.ndarray, window: int) -> np.ndarray:
    """How much faster the next `window` steps are than the last."""
    sums = np.concatenate([[0.0], np.cumsum(speed)])
    at = np.arange(len(speed))
    first, last = np.maximum(0, at - window), np.minimum(len(speed), at + window)
    return (sums[last] - sums[at]) / window - (sums[at] - sums[first]) / window


def _cosine(moved: np.ndarray) -> np.ndarray:
    """Of the angle between this step's motion and the last one's; 1 where nothing moves."""
    length = np.linalg.norm(moved, axis=1)
    product = (moved[1:] * moved[:-1]).sum(axis=1)
    scale = length[1:] * length[:-1]
    return np.concatenate([[1.0], np.where(scale > 1e-9, product / np.maximum(scale, 1e-9), 1.0)])[
        : len(moved)
    ]


def _highest_near(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 5).max(axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -60, 60)))
