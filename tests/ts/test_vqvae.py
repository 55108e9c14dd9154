"""The residual codec: what its levels, prefixes and sizes promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import SPEC

from vla_data.errors import CheckpointError, ConfigError
from vla_data.normalize import NormStats
from vla_data.runs import make_manifest
from vla_ts.vqvae import BATCH, ChunkNetwork, IdentityPlus, NetworkShape, VqVaeCodec

SHAPE = NetworkShape(5, 4, levels=3, codebook_size=11, decoder_hidden=(6,))


def make(shape: NetworkShape = SHAPE) -> VqVaeCodec:
    torch.manual_seed(0)
    network = ChunkNetwork(shape)
    network.codebooks.normal_()
    for level in range(shape.levels):
        network.codebooks[level] *= 0.5**level
    rng = np.random.default_rng(0)
    stats = NormStats.of([rng.uniform(-1, 1, (100, 4)).astype(np.float32)])
    return VqVaeCodec(network, shape, SPEC, stats, "gaussian")


def chunks(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, 5, 4)).astype(np.float32)


def test_each_level_codes_what_the_earlier_ones_left_over():
    """Against the definition, spelled out in numpy with exact distances."""
    codec = make()
    books = codec._network.codebooks.numpy()
    left = codec._normalizer.normalize(chunks(60)).reshape(60, -1)
    codes = codec.encode(chunks(60))
    for level in range(3):
        distance = np.square(left[:, None] - books[level][None]).sum(2)
        np.testing.assert_array_equal(codes[:, level], distance.argmin(1))
        left = left - books[level][codes[:, level]]


def test_an_untrained_decoder_is_the_sum_of_codes():
    codec = make()
    codes = np.array([[3, 1, 4], [10, 0, 7]])
    total = sum(codec._network.codebooks.numpy()[i][codes[:, i]] for i in range(3))
    expected = codec._normalizer.denormalize(np.float32(total).reshape(2, 5, 4)).clip(-1, 1)
    np.testing.assert_allclose(codec.decode(codes), expected, atol=1e-6)


@given(st.integers(1, 3), st.integers(0, 2**31))
def test_any_prefix_decodes(width: int, seed: int):
    codec = make()
    decoded = codec.decode(np.random.default_rng(seed).integers(0, 11, (4, width)))
    assert decoded.shape == (4, 5, 4)
    assert np.isfinite(decoded).all()


def test_more_chunks_than_fit_at_once_are_coded_alike():
    codec, many = make(), chunks(BATCH + 7)
    codes = codec.encode(many)
    np.testing.assert_array_equal(codes[-7:], codec.encode(many[-7:]))
    np.testing.assert_allclose(codec.decode(codes)[-7:], codec.decode(codes[-7:]), atol=1e-6)


def test_the_perceptron_starts_at_nothing_and_counts_its_layers():
    x = torch.randn(3, 8)
    part = IdentityPlus(8, (5, 6))
    assert torch.equal(part(x), x)
    assert part.added is not None
    assert [tuple(p.shape) for p in part.added.parameters() if p.ndim == 2] == [(5, 8), (6, 5), (8, 6)]


@pytest.mark.parametrize("wrong", [{"levels": 0}, {"codebook_size": 1}, {"decoder_hidden": (0,)}])
def test_sizes_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="sizes"):
        NetworkShape(**{"action_horizon": 5, "action_dim": 4, "levels": 3, "codebook_size": 11, **wrong})


def test_spec_statistics_and_network_must_agree():
    shape = NetworkShape(5, 3, 2, 7)
    with pytest.raises(ConfigError, match="width"):
        VqVaeCodec(ChunkNetwork(shape), shape, SPEC, make().norm_stats, "gaussian")


def test_weights_of_other_sizes_are_refused_even_with_a_manifest_that_fits(tmp_path: Path):
    make().save(tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"codebook_size": 11', '"codebook_size": 12')
    (tmp_path / "config.json").write_text(config)
    make_manifest(tmp_path, "codec", {}).save(tmp_path)
    with pytest.raises(CheckpointError, match="codebooks"):
        VqVaeCodec.load(tmp_path)
