"""Statistics against numpy, and a normaliser that undoes itself."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_data.errors import DataError
from vla_data.normalize import MIN_SPREAD, Normalizer, NormMode, NormStats

MODES = get_args(NormMode)
SERIES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 5)),
    elements=st.floats(-100, 100, width=32),
)


@given(SERIES, st.integers(0, 40))
def test_statistics_are_numpys_however_the_steps_are_split(x: np.ndarray, cut: int):
    stats = NormStats.of([x[:cut], x[cut:]])
    y = x.astype(np.float64)
    np.testing.assert_allclose(stats.mean, y.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(stats.std, y.std(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(stats.q01, np.quantile(y, 0.01, axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(stats.q99, np.quantile(y, 0.99, axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(stats.min, y.min(0))
    np.testing.assert_array_equal(stats.max, y.max(0))
    assert stats.count == len(x)
    assert stats.dim == x.shape[1]


def test_golden_numbers():
    stats = NormStats.of([np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [5.0, 5.0]], np.float32)])
    assert stats.mean == (2.0, 5.0)
    assert stats.std == (pytest.approx(3.5**0.5), 0.0)
    assert stats.q01 == (pytest.approx(0.03), 5.0)
    assert stats.q99 == (pytest.approx(4.91), 5.0)
    assert (stats.min, stats.max) == ((0.0, 5.0), (5.0, 5.0))


@pytest.mark.parametrize("mode", MODES)
def test_denormalize_undoes_normalize(mode: NormMode):
    @given(SERIES)
    def check(x: np.ndarray):
        normalizer = Normalizer(NormStats.of([x]), mode)
        y = normalizer.normalize(x)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        np.testing.assert_allclose(normalizer.denormalize(y), x, rtol=1e-5, atol=2e-4)

    check()


@given(SERIES)
def test_minmax_fills_the_unit_range(x: np.ndarray):
    stats = NormStats.of([x])
    y = Normalizer(stats, "minmax").normalize(x)
    wide = (np.array(stats.max) - np.array(stats.min)) > 1e-2
    assert (np.abs(y) <= 1 + 1e-3).all()
    np.testing.assert_allclose(y.min(0)[wide], -1, atol=1e-3)
    np.testing.assert_allclose(y.max(0)[wide], 1, atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_what_the_modes_map_to_the_unit(mode: NormMode):
    x = np.random.default_rng(0).normal(3, 2, (500, 1)).astype(np.float32)
    stats = NormStats.of([x])
    ends = {
        "gaussian": (stats.mean[0] - stats.std[0], stats.mean[0] + stats.std[0]),
        "quantile": (stats.q01[0], stats.q99[0]),
        "minmax": (stats.min[0], stats.max[0]),
    }[mode]
    got = Normalizer(stats, mode).normalize(np.array(ends, np.float32)[:, None])
    np.testing.assert_allclose(got[:, 0], [-1, 1], atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_dimension_is_shifted_never_blown_up(mode: NormMode):
    x = np.full((10, 2), 3.0, np.float32)
    x[0, 1] += MIN_SPREAD / 10
    normalizer = Normalizer(NormStats.of([x]), mode)
    np.testing.assert_allclose(normalizer.normalize(x), 0, atol=1e-6)
    np.testing.assert_allclose(normalizer.normalize(x + 1), 1, atol=1e-6)


def test_leading_axes_are_free():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    normalizer = Normalizer(NormStats.of(list(x.reshape(6, 4, 2))))
    np.testing.assert_allclose(normalizer.normalize(x)[1, 2], normalizer.normalize(x[1, 2]))


@pytest.mark.parametrize("method", ["normalize", "denormalize"])
def test_another_width_is_refused(method: str):
    normalizer = Normalizer(NormStats.of([np.zeros((2, 3), np.float32)]))
    with pytest.raises(DataError, match="another width") as caught:
        getattr(normalizer, method)(np.zeros((5, 1), np.float32))
    assert caught.value.expected == "last axis 3"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_by_step(bad: float):
    x = np.zeros((6, 2), np.float32)
    x[4, 1] = bad
    with pytest.raises(DataError) as caught:
        NormStats.of([x[:3], x[3:]], where="action")
    assert caught.value.where == "action, step 4 of 6"


def test_no_step_at_all_is_refused():
    with pytest.raises(DataError, match="no step"):
        NormStats.of([np.zeros((0, 3), np.float32)])


@pytest.mark.usefixtures("unchecked_shapes")
def test_series_of_different_width_are_refused():
    with pytest.raises(DataError, match="differ in width"):
        NormStats.of([np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32)])
