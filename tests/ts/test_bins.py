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
from vla_ts import QuantileBinsCodec, UniformBinsCodec
from vla_ts.bins import QuantileBinsConfig, UniformBinsConfig

WIDE = replace(SPEC, dims=tuple(replace(d, low=-1e6, high=1e6) for d in SPEC.dims))


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


@given(st.integers(2, 300), st.integers(0, 2**31))
def test_even_quantile_bins_span_the_middle_98_percent(bins: int, seed: int):
    """OpenVLA's convention: a rare large value does not widen the bins, and takes the outermost."""
    chunks = np.random.default_rng(seed).normal(size=(60, 3, 4)).astype(np.float32)
    chunks[7, 1, 2] = 1e4
    codec = QuantileBinsCodec.fit(chunks, WIDE, QuantileBinsConfig(bins))
    low, high = np.quantile(chunks.reshape(-1, 4).astype(np.float64), [0.01, 0.99], axis=0)
    codes = codec.encode(chunks)
    inside = (chunks >= low) & (chunks <= high)
    error = np.abs(codec.decode(codes) - chunks)
    assert (error[inside] <= np.broadcast_to((high - low) / bins / 2 + 1e-5, chunks.shape)[inside]).all()
    assert codes.reshape(chunks.shape)[7, 1, 2] == bins - 1


def test_equal_count_bins_are_used_equally_and_decode_to_their_means():
    values = np.random.default_rng(0).exponential(size=(4000, 1, 1)).astype(np.float32)
    spec = replace(WIDE, dims=WIDE.dims[:1])
    codec = QuantileBinsCodec.fit(values, spec, QuantileBinsConfig(8, "counts"))
    codes = codec.encode(values)
    np.testing.assert_allclose(np.bincount(codes[:, 0]), 500, atol=1)
    for code in range(8):
        mean = values[codes[:, 0] == code].mean()
        np.testing.assert_allclose(codec.decode(np.array([[code]]))[0, 0, 0], mean, rtol=1e-5)


def test_a_switch_leaves_bins_of_equal_counts_finite():
    switch = np.repeat([[-1.0], [1.0]], 50, axis=0).astype(np.float32).reshape(100, 1, 1)
    spec = replace(WIDE, dims=WIDE.dims[:1])
    codec = QuantileBinsCodec.fit(switch, spec, QuantileBinsConfig(16, "counts"))
    np.testing.assert_array_equal(codec.decode(codec.encode(switch)), switch)
    assert np.isfinite(codec.decode(np.arange(16)[:, None])).all()


def test_bounds_of_the_limits_need_no_data():
    codec = UniformBinsCodec.fit(np.zeros((1, 2, 4), np.float32), SPEC, UniformBinsConfig(4, "limits"))
    np.testing.assert_allclose(
        codec.decode(np.arange(4).repeat(8).reshape(4, 8))[:, 0, 0], [-0.75, -0.25, 0.25, 0.75]
    )


@pytest.mark.parametrize("count", [0, 5])
def test_bins_without_data_or_with_one_code_are_refused(count: int):
    with pytest.raises(ConfigError, match="two codes"):
        QuantileBinsCodec.fit(
            np.zeros((count, 2, 4), np.float32), SPEC, QuantileBinsConfig(256 if not count else 1)
        )
