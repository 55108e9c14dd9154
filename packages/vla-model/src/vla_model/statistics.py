"""Intervals for success rates, and what goes with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927), 95% by default.

    Holds its coverage near 0 and 1, where the usual normal interval collapses. No trial gives (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    p = successes / trials
    denominator = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / denominator
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / denominator
    # At 0 and 1 the exact bound is 0 and 1; rounding would leave 1e-17 of it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class Pairs:
    """Outcomes of two policies on the same trials: how often both, one or neither succeeded."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @classmethod
    def of(cls, first: Sequence[float], second: Sequence[float]) -> Pairs:
        """Counts of two rows of outcomes, trial by trial. Raises ValueError when they differ in length."""
        outcomes = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
        counts = (
            outcomes.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))
        )
        return cls(*counts)

    @property
    def count(self) -> int:
        return self.both + self.first_only + self.second_only + self.neither


def newcombe_interval(pairs: Pairs, z: float = 1.959964) -> tuple[float, float]:
    """Interval of the difference of two success rates on the same trials, 95% by default.

    Newcombe's score interval for paired proportions (Newcombe 1998, Statistics in Medicine 17, 2635–2650,
    method 10): Wilson's intervals of both rates, combined by how much the outcomes go together. No trial
    gives (-1, 1).
    """
    a, b, c, d, n = pairs.both, pairs.first_only, pairs.second_only, pairs.neither, pairs.count
    if n == 0:
        return -1.0, 1.0
    p, q = (a + b) / n, (a + c) / n
    (p_low, p_high), (q_low, q_high) = wilson_interval(a + b, n, z), wilson_interval(a + c, n, z)
    spread = (a + b) * (c + d) * (a + c) * (b + d)
    agree = a * d - b * c
    together = 0.0 if spread == 0 else (max(agree - n / 2, 0) if agree > 0 else agree) / math.sqrt(spread)
    below = _combined(p - p_low, q_high - q, together)
    above = _combined(q - q_low, p_high - p, together)
    return max(-1.0, p - q - below), min(1.0, p - q + above)


def _combined(one: float, other: float, together: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * together * one * other + other * other))


def mcnemar(pairs: Pairs) -> float:
    """Two-sided exact p of McNemar's test: were the trials that only one of them won won by both alike?"""
    unequal = pairs.first_only + pairs.second_only
    fewer = min(pairs.first_only, pairs.second_only)
    tail = sum(math.comb(unequal, k) for k in range(fewer + 1)) / 2**unequal
    return min(1.0, 2 * tail)


def correlation(
    first: Sequence[float], second: Sequence[float], resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Pearson's r with a 95% interval: percentiles over resampled pairs (Efron 1979).

    NaN where one is constant. Raises ValueError when they differ in length.
    """
    pairs = np.array(list(zip(first, second, strict=True)), float).reshape(-1, 2)
    value = _pearson(pairs)
    rng = np.random.default_rng(seed)
    drawn = [_pearson(pairs[rng.integers(0, len(pairs), len(pairs))]) for _ in range(resamples)]
    known = np.array([d for d in drawn if not math.isnan(d)])
    if math.isnan(value) or not len(known):
        return math.nan, math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return value, float(low), float(high)


def _pearson(pairs: np.ndarray) -> float:
    if len(pairs) < 2 or not pairs.std(axis=0).all():
        return math.nan
    return float(np.corrcoef(pairs.T)[0, 1])


def anytime_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of "both win alike" that holds however often one looks, and whenever one stops.

    Trials that only one of the two won are bets: their likelihood under a share drawn from Beta(1/2, 1/2)
    over that under 1/2 is a martingale, which exceeds 1/p with probability p at most (Ville 1939; mixtures:
    Robbins 1970). Trials are given in the order in which they were run.

    Raises ValueError when they differ in length.
    """
    best, wins, count = 0.0, 0, 0
    for a, b in zip(first, second, strict=True):
        if bool(a) == bool(b):
            continue
        wins, count = wins + bool(a), count + 1
        best = max(
            best, count * math.log(2) + _log_beta(wins + 0.5, count - wins + 0.5) - _log_beta(0.5, 0.5)
        )
    return math.exp(-best)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
