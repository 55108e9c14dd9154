"""Statistics of series: exact ones are numpy's, digested and merged ones come close and keep their counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_data.errors import DataError
from vla_data.explore import columns as columns_module
from vla_data.explore.columns import Columns
from vla_data.explore.quantiles import LEVELS, SeriesStats, merge_series
from vla_data.normalize import NormStats

NAMES = ["action x", "action y"]
FINITE = st.floats(-1e4, 1e4, width=32)


def collect(parts: list[np.ndarray], *, limit: int = 10**9, sketch: bool = False) -> SeriesStats:
    collected = Columns(limit)
    for part in parts:
        collected.add(part)
    found = collected.stats(NAMES, sketch)
    assert found is not None
    return found


def levels(found: SeriesStats) -> np.ndarray:
    return np.array([found.norm.q01, found.q10, found.q50, found.q90, found.norm.q99])


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 60), st.just(2)), elements=FINITE), st.integers(1, 9))
def test_what_fits_is_exact_however_it_is_cut(values: np.ndarray, parts: int):
    found = collect(np.array_split(values, parts))
    expected = NormStats.of([values])
    assert found.exact
    assert found.norm.count == len(values)
    np.testing.assert_allclose(levels(found), np.quantile(values.astype(np.float64), LEVELS, axis=0), rtol=0)
    for name in ("mean", "std", "q01", "q99", "min", "max"):
        got = getattr(found.norm, name)
        np.testing.assert_allclose(got, getattr(expected, name), rtol=1e-9, atol=1e-9 * 1e4, err_msg=name)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "BLOCK", 512)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("steps", [1024, 5000, 5120])
def test_beyond_the_limit_moments_stay_exact_and_quantiles_come_close(steps: int):
    values = np.random.default_rng(0).normal([3, -1], [1, 5], (steps, 2)).astype(np.float32)
    found = collect(np.array_split(values, 7), limit=2000)
    expected = NormStats.of([values])
    assert not found.exact
    assert found.norm.count == steps
    for name in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(getattr(found.norm, name), getattr(expected, name), rtol=1e-9)
    off = np.abs(levels(found) - np.quantile(values, LEVELS, axis=0)) / values.std(axis=0)
    assert off.max() < 0.02
    assert [sum(s.counts) for s in found.spreads] == [steps, steps]


@pytest.mark.usefixtures("small_blocks")
def test_asking_twice_changes_nothing():
    values = np.random.default_rng(1).normal(size=(3000, 2)).astype(np.float32)
    collected = Columns(limit=2000)
    collected.add(values[:2900])
    collected.stats(NAMES)
    collected.add(values[2900:])
    found = collected.stats(NAMES)
    assert found is not None
    assert found.norm == collect([values], limit=2000).norm


@given(st.lists(st.integers(1, 400), min_size=2, max_size=5), st.integers(0, 99))
def test_merging_comes_close_to_everything_at_once(lengths: list[int], seed: int):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal(size=2), 1, (n, 2)).astype(np.float32) for n in lengths]
    merged = merge_series([collect([p], sketch=True) for p in parts], NAMES)
    whole = collect(parts)
    for name in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(
            getattr(merged.norm, name), getattr(whole.norm, name), rtol=1e-6, atol=1e-9
        )
    assert merged.norm.count == whole.norm.count
    values = np.concatenate(parts)
    for dim in range(2):  # as ranks, which a gap between values cannot spoil
        ranks = [np.mean(values[:, dim] <= q) for q in levels(merged)[:, dim]]
        np.testing.assert_allclose(ranks, LEVELS, atol=1.5 / len(values) + 0.005)


def test_merging_survives_outliers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200_000, 2)).astype(np.float32)
    values[rng.integers(0, len(values), 40)] *= 1e4
    parts = np.array_split(values, 8)
    merged = merge_series([collect([p], sketch=True) for p in parts], NAMES)
    exact = np.quantile(values.astype(np.float64), LEVELS, axis=0)
    off = np.abs(levels(merged) - exact)[[0, 4]] / np.abs(exact[[0, 4]])
    assert off.max() < 0.005


def test_merging_goes_on_from_what_was_merged():
    rng = np.random.default_rng(2)
    parts = [collect([rng.normal(size=(500, 2)).astype(np.float32)], sketch=True) for _ in range(3)]
    twice = merge_series([merge_series(parts[:2], NAMES), parts[2]], NAMES)
    once = merge_series(parts, NAMES)
    assert twice.norm.count == once.norm.count == 1500
    np.testing.assert_allclose(levels(twice), levels(once), atol=0.02)


def test_what_cannot_be_merged_is_refused():
    wide, narrow = (np.zeros((3, n), np.float32) for n in (2, 1))
    other = Columns()
    other.add(narrow)
    single = other.stats(["x"], sketch=True)
    assert single is not None
    with pytest.raises(DataError, match="width"):
        merge_series([collect([wide], sketch=True), single], NAMES)
    with pytest.raises(DataError, match="merged"):
        merge_series([collect([wide]), collect([wide])], NAMES)


def test_a_width_that_changes_names_the_place():
    collected = Columns()
    collected.add(np.zeros((3, 2), np.float32))
    with pytest.raises(DataError, match="changes its width") as caught:
        collected.add(np.zeros((3, 4), np.float32), "set, episode 7, action")
    assert caught.value.where == "set, episode 7, action"


def test_nothing_has_no_statistics():
    empty = Columns()
    assert empty.stats([]) is None
    empty.add(np.zeros((0, 2), np.float32))
    assert empty.stats(NAMES) is None
    widthless = Columns()
    widthless.add(np.zeros((4, 0), np.float32))
    assert widthless.stats([]) is None
