"""Uniform bins: error bounded by half a bin, and golden codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import SPEC

from vla_data.errors import ConfigError
from vla_data.normalize import NormStats
from vla_ts import UniformBinsCodec


def test_codes_follow_time_then_dimension():
    codec = UniformBinsCodec(SPEC, 2, bins=4)
    chunk = np.array([[[-1, -0.5, 0, 0.5], [1, 0.49, -0.01, 7]]], np.float32)
    np.testing.assert_array_equal(codec.encode(chunk), [[0, 1, 2, 3, 3, 2, 1, 3]])
    expected = [[[-0.75, -0.25, 0.25, 0.75], [0.75, 0.25, -0.25, 0.75]]]
    np.testing.assert_allclose(codec.decode(codec.encode(chunk)), expected)


@given(st.integers(2, 1024), st.integers(0, 2**31))
def test_the_error_is_at_most_half_a_bin(bins: int, seed: int):
    chunks = np.random.default_rng(seed).uniform(-1, 1, (20, 3, 4)).astype(np.float32)
    codec = UniformBinsCodec(SPEC, 3, bins=bins)
    codes = codec.encode(chunks)
    assert np.abs(codec.decode(codes) - chunks).max() <= 1 / bins + 1e-5
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)


def test_bounds_follow_the_data_inside_the_limits():
    data = np.array([[-0.1, 0, 0.25, -3], [0.1, 0, 0.5, 3]], np.float32)
    codec = UniformBinsCodec(SPEC, 1, NormStats.of([data]), bins=10)
    np.testing.assert_allclose(codec.decode(np.zeros((1, 4), np.int64))[0, 0], [-0.09, 0, 0.2625, -0.9])
    np.testing.assert_allclose(codec.decode(np.full((1, 4), 9))[0, 0], [0.09, 0, 0.4875, 0.9])


def test_limits_without_end_need_statistics():
    spec = replace(SPEC, dims=(replace(SPEC.dims[0], low=-np.inf, high=np.inf),))
    with pytest.raises(ConfigError, match="finite bounds"):
        UniformBinsCodec(spec, 1)
    stats = NormStats.of([np.array([[-2.0], [2.0]], np.float32)])
    assert UniformBinsCodec(spec, 1, stats, 2).decode(np.array([[1]]))[0, 0, 0] == 1
