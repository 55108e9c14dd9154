"""Splines: exact for curves they can draw, steps for grippers, bounded by rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import make_lsq_spline
from tests.ts.conftest import SPEC

from vla_data.errors import ConfigError
from vla_ts import SplineCodec
from vla_ts.spline import SplineConfig
from vla_ts.transforms import spline_basis


def test_a_cubic_is_drawn_exactly_and_a_switch_held():
    t = np.linspace(-1, 1, 20)
    rng = np.random.default_rng(0)
    curves = np.stack([np.polyval(rng.uniform(-0.25, 0.25, 4), t) for _ in range(300)])
    chunks = np.repeat(curves[:, :, None], 4, axis=2).astype(np.float32)
    chunks[:, :, 3] = np.where(np.arange(20) < 10, -1, 1)
    codec = SplineCodec.fit(chunks, SPEC, SplineConfig(coefficients=4, bins=4096))
    np.testing.assert_allclose(codec.decode(codec.encode(chunks)), chunks, atol=2e-3)
    assert codec.tokens_per_chunk == 16


@given(st.integers(4, 30), st.integers(4, 9), st.integers(0, 99))
def test_the_fit_is_scipys_least_squares(size: int, coefficients: int, seed: int):
    size = max(size, 2 * coefficients)
    basis = spline_basis(size, coefficients, 3)
    knots = np.concatenate([np.zeros(3), np.linspace(0, 1, coefficients - 2), np.ones(3)])
    y = np.random.default_rng(seed).normal(size=size)
    peer = make_lsq_spline(np.linspace(0, 1, size), y, knots, k=3).c
    np.testing.assert_allclose(np.linalg.pinv(basis.astype(np.float64)) @ y, peer, atol=1e-4)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_every_basis_sums_to_one(size: int, coefficients: int, degree: int):
    if coefficients <= size:
        np.testing.assert_allclose(spline_basis(size, coefficients, degree).sum(1), 1, atol=1e-5)


def test_more_bins_leave_less_error_down_to_the_curves():
    rng = np.random.default_rng(1)
    chunks = np.cumsum(rng.normal(0, 0.05, (200, 16, 4)), axis=1).astype(np.float32)
    errors = []
    for bins in (4, 16, 256, 4096):
        codec = SplineCodec.fit(chunks, SPEC, SplineConfig(6, bins))
        errors.append(np.square(codec.decode(codec.encode(chunks)) - chunks).mean())
    assert errors[0] > 3 * errors[1] > 3 * errors[2]
    assert errors[2] == pytest.approx(errors[3], rel=0.02)


def test_as_many_steps_as_actions_keep_every_value():
    chunks = np.random.default_rng(2).uniform(-1, 1, (50, 5, 4)).astype(np.float32)
    codec = SplineCodec.fit(chunks, SPEC, SplineConfig(5, 1024, degree=0))
    np.testing.assert_allclose(codec.decode(codec.encode(chunks)), chunks, atol=1.1e-3)


@pytest.mark.parametrize("wrong", [{"coefficients": 0}, {"bins": 1}, {"degree": -1}, {"gripper_degree": -1}])
def test_settings_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="spline"):
        replace(SplineConfig(), **wrong)


def test_more_control_points_than_actions_are_refused():
    with pytest.raises(ConfigError, match="more control points"):
        SplineCodec.fit(np.zeros((3, 4, 4), np.float32), SPEC, SplineConfig(5))
