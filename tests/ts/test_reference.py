"""The Gaussian reference against closed forms."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import DataError
from vla_data.normalize import NormStats
from vla_ts.reference import GaussianReference, water_level


def white(deviations: tuple[float, ...], count: int = 20_000, horizon: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(count, horizon, len(deviations))) * deviations).astype(np.float32)


def ones(dim: int) -> NormStats:
    """Statistics that leave numbers as they are."""
    unit, zero = (1.0,) * dim, (0.0,) * dim
    return NormStats(zero, unit, zero, unit, zero, unit, 1)


@pytest.mark.parametrize("nmse", [0.5, 0.1, 0.003])
@pytest.mark.parametrize("transform", ["dct", "klt", "joint"])
def test_white_noise_costs_half_the_logarithm_of_its_precision(nmse: float, transform):
    reference = GaussianReference.of(white((1.0, 1.0, 1.0)), ones(3), transform)
    assert reference.bits(nmse) == pytest.approx(12 * 0.5 * np.log2(1 / nmse), rel=0.01, abs=0.02)


def test_water_fills_only_what_is_above_it():
    """Two dimensions of variance 4 and 0.01 at a total error that leaves the small one uncoded."""
    reference = GaussianReference(np.array([[4.0, 4.0], [0.01, 0.01]]), 4)
    level = (0.2 * 4 - 0.02) / 2
    expected = [2 * 0.5 * np.log2(4 / level), 0]
    np.testing.assert_allclose(reference.bits_by_row(0.2), expected)
    own = reference.bits_at(np.array([level, 0.0025]))
    np.testing.assert_allclose(own, [expected[0], 2 * 0.5 * np.log2(0.01 / 0.0025)])
    assert reference.gap(10.0, 0.2) == pytest.approx(10 - sum(expected))


@cache
def autoregressive(rho: float, horizon: int) -> np.ndarray:
    """The covariance of an AR(1) process of unit variance."""
    t = np.arange(horizon)
    return rho ** np.abs(t[:, None] - t)


@cache
def principal_variances(rho: float, horizon: int) -> np.ndarray:
    return np.linalg.eigvalsh(autoregressive(rho, horizon)).clip(0)


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("error", [0.3, 0.05, 0.002])
def test_long_chunks_reach_the_spectral_integral(rho: float, error: float):
    """R(θ) = ∫ max(0, ½ log₂ S(ω)/θ) dω/2π and D(θ) = ∫ min(θ, S(ω)) dω/2π (Kolmogorov 1956)."""
    omega = (np.arange(20_000) + 0.5) * np.pi / 20_000
    spectrum = (1 - rho**2) / (1 - 2 * rho * np.cos(omega) + rho**2)
    low, level, high = 0.0, 0.0, float(spectrum.max())
    for _ in range(60):
        level = (low + high) / 2
        low, high = (level, high) if np.minimum(level, spectrum).mean() < error else (low, level)
    expected = np.maximum(0, 0.5 * np.log2(spectrum / level)).mean()
    horizon = 512
    variances = principal_variances(rho, horizon)[None]
    found = GaussianReference(variances, horizon).bits(error) / horizon
    assert found == pytest.approx(expected, rel=0.01, abs=4e-3)
    if error <= (1 - rho) / (1 + rho):  # then every frequency is coded, and the integral is known
        assert expected == pytest.approx(0.5 * np.log2((1 - rho**2) / error), rel=1e-3)


def test_the_dct_nearly_diagonalises_smooth_series():
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(autoregressive(0.95, 16))
    chunks = np.einsum("ts,nsd->ntd", root, rng.normal(size=(60_000, 16, 2))).astype(np.float32)
    bits = {t: GaussianReference.of(chunks, ones(2), t).bits(0.01) for t in ("dct", "klt", "joint")}
    assert bits["joint"] <= bits["klt"] + 0.05 <= bits["dct"] + 0.1
    assert bits["dct"] == pytest.approx(bits["klt"], rel=0.01)


def test_dimensions_that_move_together_cost_once():
    x = white((1.0,), 30_000)
    chunks = np.concatenate([x, x], axis=2)
    joint = GaussianReference.of(chunks, ones(2), "joint").bits(0.01)
    apart = GaussianReference.of(chunks, ones(2), "klt").bits(0.01)
    assert apart == pytest.approx(2 * joint, rel=0.01)


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30),
    st.floats(1e-9, 1.5),
)
def test_the_level_spends_exactly_the_error(variances: list[float], share: float):
    v = np.array(variances)
    level = water_level(v, share * v.sum())
    assert np.minimum(v, level).sum() == pytest.approx(min(share, 1) * v.sum(), rel=1e-9)


@given(st.lists(st.floats(1e-3, 10), min_size=2, max_size=12), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_less_error_never_costs_less(variances: list[float], one: float, other: float):
    reference = GaussianReference(np.array([variances]), len(variances))
    low, high = sorted((one, other))
    assert reference.bits(low) >= reference.bits(high) - 1e-9


def test_the_ends_of_the_curve():
    reference = GaussianReference.of(white((1.0, 2.0)), ones(2))
    assert reference.bits(10.0) == 0
    assert reference.bits(0.0) == np.inf
    curve = reference.curve(0.001, 1.0, 7)
    assert curve.shape == (7, 2)
    assert (np.diff(curve[:, 1]) <= 0).all()


def test_a_dimension_that_never_moves_costs_nothing():
    chunks = white((1.0, 0.0))
    reference = GaussianReference.of(chunks, NormStats.of([chunks.reshape(-1, 2)]))
    assert reference.bits_by_row(0.01)[1] == 0


@pytest.mark.parametrize(("transform", "count"), [("dct", 1), ("klt", 7), ("joint", 15)])
def test_too_few_chunks_are_refused(transform, count: int):
    with pytest.raises(DataError, match="too few chunks"):
        GaussianReference.of(white((1.0, 1.0), count), ones(2), transform)
