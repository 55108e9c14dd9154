"""DCT and BPE: the spectrum against scipy, the codes against their letters, broken codes as promised."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct
from tests.ts.conftest import SPEC
from tests.ts.series import reaching

from vla_data.errors import CheckpointError, ConfigError
from vla_data.normalize import Normalizer
from vla_data.runs import make_manifest
from vla_ts import DctBpeCodec, load_codec
from vla_ts.dct_bpe import DctBpeConfig
from vla_ts.transforms import dct_matrix

HORIZON = 12


@pytest.fixture(scope="module")
def codec() -> DctBpeCodec:
    return DctBpeCodec.fit(reaching().chunks(HORIZON), SPEC, DctBpeConfig(8.0, 400))


def held_out() -> np.ndarray:
    return reaching(5, first=100).chunks(HORIZON)


@given(st.integers(1, 40), st.integers(0, 99))
def test_the_matrix_is_scipys_orthonormal_dct(size: int, seed: int):
    x = np.random.default_rng(seed).normal(size=size)
    np.testing.assert_allclose(dct_matrix(size) @ x, np.asarray(dct(x, norm="ortho")), atol=1e-5)
    np.testing.assert_allclose(dct_matrix(size).T @ dct_matrix(size), np.eye(size), atol=1e-5)


def test_codes_stand_for_the_rounded_spectrum_lowest_frequencies_first(codec: DctBpeCodec):
    chunks = held_out()
    normalized = Normalizer(codec.norm_stats, "quantile").normalize(chunks)
    spectrum = np.rint(8 * np.asarray(dct(normalized.astype(np.float64), axis=1, norm="ortho"))).reshape(
        len(chunks), -1
    )
    pieces = {i: [ord(c) - 0x4E00 for c in p] for p, i in codec._tokenizer.get_vocab().items()}
    half = codec._letters // 2
    different = 0
    for row, expected in zip(codec.encode(chunks), spectrum, strict=True):
        found = [letter - half for code in row if code >= 0 for letter in pieces[int(code)]]
        different += int((np.array(found) != expected).sum())
    assert different <= 1e-4 * spectrum.size  # float32 may round a half the other way


def test_the_error_is_that_of_rounding(codec: DctBpeCodec):
    """Rounding leaves 1/12 of a step squared in every coefficient at most, and the DCT keeps energy."""
    chunks = held_out()
    normalizer = Normalizer(codec.norm_stats, "quantile")
    decoded = normalizer.normalize(codec.decode(codec.encode(chunks))) - normalizer.normalize(chunks)
    assert np.abs(decoded).max() < np.sqrt(HORIZON) * 0.5 / 8 + 1e-4
    assert np.square(decoded).mean() < 1 / 12 / 8**2


def test_joining_pays_and_a_coarser_scale_takes_fewer_codes(codec: DctBpeCodec):
    chunks = held_out()
    tokens = (codec.encode(chunks) >= 0).sum(1).mean()
    assert tokens < HORIZON * 4 / 2
    coarse = DctBpeCodec.fit(reaching().chunks(HORIZON), SPEC, DctBpeConfig(2.0, 400))
    assert (coarse.encode(chunks) >= 0).sum(1).mean() < 0.6 * tokens


def test_a_chunk_cut_short_decodes_to_its_slow_part():
    """Without its last codes, a chunk keeps the low frequencies and loses the high ones."""
    wide = replace(SPEC, dims=tuple(replace(d, low=-1e6, high=1e6) for d in SPEC.dims))
    chunks = np.random.default_rng(0).normal(size=(200, HORIZON, 4)).astype(np.float32)
    codec = DctBpeCodec.fit(chunks, wide, DctBpeConfig(8.0, 400))
    codes = codec.encode(chunks[:1])
    normalizer = Normalizer(codec.norm_stats, "quantile")
    for left in (1, codes.shape[1] // 2, codes.shape[1] - 1):
        prefix = codes[:, :left]
        assert not codec.decodable(prefix)[0]
        kept = int(codec._piece_lengths[prefix[0]].sum())
        spectra = [
            (dct_matrix(HORIZON) @ normalizer.normalize(codec.decode(c))[0]).ravel() for c in (codes, prefix)
        ]
        np.testing.assert_allclose(spectra[1][:kept], spectra[0][:kept], atol=1e-3)
        np.testing.assert_allclose(spectra[1][kept:], 0, atol=1e-3)


def test_codes_too_many_are_dropped_and_none_mean_the_middle(codec: DctBpeCodec):
    codes = codec.encode(held_out()[:1])
    codes = codes[:, : (codes >= 0).sum()]
    longer = np.concatenate([codes, codes], axis=1)
    np.testing.assert_array_equal(codec.decode(longer), codec.decode(codes))
    empty = np.full((2, 3), -1)
    middle = Normalizer(codec.norm_stats, "quantile").denormalize(np.zeros((2, HORIZON, 4), np.float32))
    np.testing.assert_allclose(codec.decode(empty), middle.clip(-1, 1), atol=1e-6)
    assert codec.decodable(np.concatenate([longer, codes.repeat(2, 1)])).tolist() == [False, False]
    assert codec.decodable(empty).tolist() == [False, False]


@given(st.integers(0, 2**31))
def test_decodable_is_having_the_right_number_of_coefficients(codec: DctBpeCodec, seed: int):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, codec.vocab_size, (20, 12))
    lengths = codec._piece_lengths[codes].sum(1)
    np.testing.assert_array_equal(codec.decodable(codes), lengths == HORIZON * 4)


def test_values_beyond_those_fitted_on_take_the_outermost_letter(codec: DctBpeCodec):
    far = np.full((1, HORIZON, 4), 50, np.float32)
    codes = codec.encode(far)
    assert codec.decodable(codes)[0]
    np.testing.assert_array_equal(codec.decode(codes), 1)


def test_a_chunk_that_stays_at_the_extreme_has_a_letter():
    """Seen for a step only, the extreme is coded as well when a whole chunk stays there."""
    rng = np.random.default_rng(0)
    chunks = rng.normal(0, 0.05, (400, HORIZON, 4)).astype(np.float32)
    chunks[17, 3] = 0.6
    codec = DctBpeCodec.fit(chunks, SPEC, DctBpeConfig(5.0, 1024))
    still = np.full((1, HORIZON, 4), 0.6, np.float32)
    np.testing.assert_allclose(codec.decode(codec.encode(still)), still, atol=0.01)


def test_more_coefficients_than_codes_are_refused():
    with pytest.raises(ConfigError, match="more different coefficients"):
        DctBpeCodec.fit(reaching().chunks(HORIZON), SPEC, DctBpeConfig(100.0, 64))


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"scale": float("nan")}, {"vocab_size": 1}])
def test_settings_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="positive scale"):
        DctBpeConfig(**wrong)


def test_fitted_in_another_process_it_is_the_same(tmp_path: Path, root: Path):
    """Byte-pair encoding breaks ties among pairs; another hash seed must not break them otherwise."""
    program = (
        "import sys; from pathlib import Path; from tests.ts.series import reaching\n"
        "from vla_ts import DctBpeCodec; from tests.ts.conftest import SPEC\n"
        "DctBpeCodec.fit(reaching().chunks(12), SPEC).save(Path(sys.argv[1]))"
    )
    for name in "ab":
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], cwd=root, check=True)
    assert (tmp_path / "a" / "bpe.json").read_bytes() == (tmp_path / "b" / "bpe.json").read_bytes()


@pytest.mark.parametrize("content", ["not json", "{}", None])
def test_an_encoder_that_is_not_the_codecs_is_refused(
    codec: DctBpeCodec, tmp_path: Path, content: str | None
):
    codec.save(tmp_path)
    if content is None:  # a sound one of another size
        other = DctBpeCodec.fit(reaching().chunks(HORIZON), SPEC, DctBpeConfig(8.0, 300))
        content = other._tokenizer.to_str()
    (tmp_path / "bpe.json").write_text(content)
    make_manifest(tmp_path, "codec", json.loads((tmp_path / "config.json").read_text())).save(tmp_path)
    with pytest.raises(CheckpointError, match="byte-pair encoder"):
        load_codec(tmp_path)
