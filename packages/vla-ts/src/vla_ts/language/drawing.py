"""Attributes at random: which combinations are for training, and the numbers that go with one.

A combination is held out if the places of its values in their lists add up to a multiple of `FOLD`. So no
combination is in both splits, while every value, and for waves every pair of values, is in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from vla_ts.language.attributes import (
    AXES,
    CHANGES,
    GRIPPER,
    MIN_AMPLITUDE,
    MIN_RISE,
    MIN_SPIKE,
    MIN_STEP,
    NOISE,
    ORDERS,
    PERIODS,
    RELATIONS,
    STEPS,
    MotionAttributes,
    PairAttributes,
    WaveAttributes,
)

Split = Literal["train", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "held_out")
FOLD = 5
AMPLITUDES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # of seasons, in the units of their series

WAVE_VALUES = (("falling", "flat", "rising"), (0, *PERIODS), CHANGES, tuple(NOISE))
PAIR_VALUES = (RELATIONS, (1, 2, 3), (0.5, 1.0, 2.0), ("none", "weak"))
MOTION_VALUES = (AXES, (-1, 1), GRIPPER, ORDERS)


def split_of(places: Sequence[int]) -> Split:
    """The split of a combination, given as the places of its values in their lists."""
    return "held_out" if sum(places) % FOLD == 0 else "train"


def draw_combination(rng: np.random.Generator, values: Sequence[Sequence[Any]], split: Split) -> list[Any]:
    """One value of each list, so that the combination belongs to the split."""
    while True:
        places = [int(rng.integers(len(v))) for v in values]
        if split_of(places) == split:
            return [v[i] for v, i in zip(values, places, strict=True)]


def draw_wave(rng: np.random.Generator, split: Split, steps: int) -> WaveAttributes:
    """One dimension of a series of trend, season, change and noise."""
    trend, period, change, noise = draw_combination(rng, WAVE_VALUES, split)
    least = MIN_STEP if change in STEPS else MIN_SPIKE
    height = {"none": 0, "rise": 1, "spike": 1, "drop": -1, "dip": -1}[change] * rng.uniform(least, 2 * least)
    wanted = float(rng.choice(AMPLITUDES))
    amplitude = rng.uniform(MIN_AMPLITUDE, 2 * MIN_AMPLITUDE)
    unit = wanted / amplitude if period else float(np.exp(rng.uniform(np.log(0.5), np.log(20))))
    return WaveAttributes(
        steps,
        rise=(WAVE_VALUES[0].index(trend) - 1) * rng.uniform(MIN_RISE, 2 * MIN_RISE),
        period=period,
        amplitude=amplitude if period else 0.0,
        phase=rng.uniform(0, 1),
        change=change,
        change_at=int(rng.integers(steps // 8, steps - steps // 8)),
        change_height=float(height),
        noise=noise,
        unit=unit,
        level=unit * rng.uniform(-2, 2),
    )


def draw_pair(rng: np.random.Generator, split: Split, steps: int) -> PairAttributes:
    """Two dimensions and how they move together."""
    relation, waves, gain, noise = draw_combination(rng, PAIR_VALUES, split)
    return PairAttributes(steps, relation, waves, gain, noise)


def pair_values(rng: np.random.Generator, pair: PairAttributes) -> np.ndarray:
    """A pair's values without noise, float64 [steps, 2]: correlated by 1, -1 or 0, to rounding."""
    first, other = (_curve(rng, pair.steps, pair.waves) for _ in range(2))
    if pair.relation == "unrelated":
        other = other - first * (first @ other) / (first @ first)
        second = other / other.std()
    else:
        second = first if pair.relation == "together" else -first
    return np.stack([first, pair.gain * second], 1)


def draw_motion(rng: np.random.Generator, split: Split, steps: int) -> MotionAttributes:
    """A hand's motion and what its gripper does."""
    axis, sign, gripper, order = draw_combination(rng, MOTION_VALUES, split)
    begins = int(rng.integers(3, steps // 3 + 1))
    ends = int(rng.integers(2 * steps // 3, steps - 3))
    middle = (begins + ends) / 2
    at = {
        "before": (1, begins),
        "during": (int(np.ceil(middle - 1)), int(middle + 1)),
        "after": (ends + 1, steps - 1),
    }[order]
    gripper_at = int(rng.integers(at[0], at[1] + 1))
    return MotionAttributes(
        steps, axis, sign * rng.uniform(0.1, 0.4), begins, ends, gripper, gripper_at, order
    )


def _curve(rng: np.random.Generator, steps: int, waves: int) -> np.ndarray:
    """A smooth curve of mean 0 and standard deviation 1."""
    t = np.arange(steps) / steps
    cycles, phase = rng.uniform(0.7, 3.0, waves), rng.uniform(0, 1, waves)
    curve = np.sin(2 * np.pi * (cycles[:, None] * t + phase[:, None])).sum(0)
    curve = curve - curve.mean()
    return curve / curve.std()
