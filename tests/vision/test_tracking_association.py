"""Overlaps and assignment against the plain way to compute them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_vision.tracking.association import FORBIDDEN, assign, coverage, overlaps


def some_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    low = rng.uniform(0, 60, (n, 2))
    return np.concatenate([low, low + rng.uniform(1, 60, (n, 2))], axis=1).astype(np.float32)


def one_overlap(a: np.ndarray, b: np.ndarray) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (area - w * h)


@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_overlaps_of_pairs(seed: int, buffer: float):
    rng = np.random.default_rng(seed)
    a, b = some_boxes(rng, 4), some_boxes(rng, 3)
    wide = [
        np.concatenate([x[:2] - buffer * (x[2:] - x[:2]), x[2:] + buffer * (x[2:] - x[:2])]) for x in (*a, *b)
    ]
    expected = [[one_overlap(x, y) for y in wide[4:]] for x in wide[:4]]
    np.testing.assert_allclose(overlaps(a, b, buffer), expected, atol=1e-4)
    np.testing.assert_allclose(overlaps(a, b, buffer), overlaps(b, a, buffer).T, atol=1e-6)
    np.testing.assert_allclose(np.diag(overlaps(a, a)), 1, atol=1e-5)


def test_coverage_is_the_share_that_is_hidden():
    nested = np.array([[0, 0, 10, 10], [2, 2, 7, 7], [100, 0, 110, 10]], np.float32)
    np.testing.assert_allclose(coverage(nested), [0.25, 1.0, 0.0])
    assert coverage(nested[:1]).tolist() == [0.0]
    assert coverage(nested[:0]).shape == (0,)


def best_by_trying_all(cost: np.ndarray, limit: float) -> float:
    """Smallest total where every unmatched row costs half the limit and so does every column."""
    n, m = cost.shape
    best = np.inf
    for columns in set(permutations([*range(m), *[-1] * n], n)):
        pairs = [(r, c) for r, c in enumerate(columns) if c >= 0]
        total = sum(cost[r, c] for r, c in pairs) + (n + m - 2 * len(pairs)) * limit / 2
        best = min(best, total)
    return best


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.9]))
def test_no_matching_is_cheaper(seed: int, limit: float):
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0, 1, (3, 3))
    cost[rng.uniform(size=cost.shape) < 0.2] += FORBIDDEN
    rows, columns = assign(cost, limit)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert (cost[rows, columns] <= limit + 1e-9).all()
    total = cost[rows, columns].sum() + (6 - 2 * len(rows)) * limit / 2
    assert total == pytest.approx(best_by_trying_all(cost, limit))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(shape: tuple[int, int]):
    rows, columns = assign(np.zeros(shape), 0.5)
    assert (len(rows), len(columns)) == (0, 0)
