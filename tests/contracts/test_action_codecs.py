"""One suite over every action codec: whatever calls itself an `ActionCodec` keeps these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vla_data.errors import CheckpointError, DataError, SpecMismatchError
from vla_data.files import read_json, write_json
from vla_data.normalize import NormStats
from vla_data.protocols import ActionCodec
from vla_data.types import ActionDim, ActionSpec
from vla_ts import DctBpeCodec, QuantileBinsCodec, SplineCodec, UniformBinsCodec, VqVaeCodec, load_codec
from vla_ts.bins import QuantileBinsConfig
from vla_ts.dct_bpe import DctBpeConfig
from vla_ts.spline import SplineConfig
from vla_ts.vqvae import ChunkNetwork, NetworkShape

HORIZON = 6
OURS = (VqVaeCodec, UniformBinsCodec, QuantileBinsCodec, DctBpeCodec, SplineCodec)
SPEC = ActionSpec(
    (
        ActionDim("x", "position", "delta", "base", "m", 0.05),
        ActionDim("yaw", "rotation", "delta", "base", "rad", low=-0.5, high=0.25),
        ActionDim("gripper", "gripper", "absolute", "none", low=0.0, high=1.0),
    ),
    20.0,
    rotation="euler_xyz",
    gripper_closes=-1,
)


def actions(count: int, seed: int = 0) -> np.ndarray:
    """Chunks float32 [count, HORIZON, 3] within the limits of SPEC; the gripper is open or closed."""
    rng = np.random.default_rng(seed)
    chunks = rng.uniform(SPEC.low, SPEC.high, (count, HORIZON, 3))
    chunks[..., 2] = np.round(chunks[..., 2])
    return chunks.astype(np.float32)


def vqvae(encoder: tuple[int, ...]) -> VqVaeCodec:
    """A codec whose codebooks and networks are random: the contract does not ask for quality."""
    torch.manual_seed(0)
    shape = NetworkShape(HORIZON, 3, 3, 17, encoder, (8,))
    network = ChunkNetwork(shape)
    for tensor in network.state_dict().values():
        tensor.normal_()
    stats = NormStats.of(list(actions(50)), "made up")
    return VqVaeCodec(network, shape, SPEC, stats, "gaussian")


# A codec joins the suite by one line here.
CODECS: dict[str, Callable[[], ActionCodec]] = {
    "vqvae": lambda: vqvae(()),
    "vqvae with a learnt encoder": lambda: vqvae((8,)),
    "uniform bins over the limits": lambda: UniformBinsCodec(SPEC, HORIZON),
    "uniform bins over the data": lambda: UniformBinsCodec(SPEC, HORIZON, NormStats.of(list(actions(9))), 7),
    "quantile bins": lambda: QuantileBinsCodec.fit(actions(99), SPEC),
    "bins of equal counts": lambda: QuantileBinsCodec.fit(actions(99), SPEC, QuantileBinsConfig(9, "counts")),
    "DCT and BPE": lambda: DctBpeCodec.fit(actions(99), SPEC, DctBpeConfig(4.0, 80)),
    "splines": lambda: SplineCodec.fit(actions(99), SPEC, SplineConfig(4, 16)),
}


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> ActionCodec:
    return CODECS[request.param]()


def assert_chunks(chunks: np.ndarray, count: int) -> None:
    assert chunks.shape == (count, HORIZON, 3)
    assert chunks.dtype == np.float32
    assert np.isfinite(chunks).all()
    assert (chunks >= SPEC.low).all()
    assert (chunks <= SPEC.high).all()


def test_it_is_a_codec_and_says_what_it_codes(codec: ActionCodec) -> None:
    assert isinstance(codec, ActionCodec)
    assert codec.action_horizon == HORIZON
    codec.spec.require_same(SPEC, "contract")


@pytest.mark.parametrize("count", [0, 1, 33])
def test_a_round_trip_keeps_shape_type_and_limits(codec: ActionCodec, count: int) -> None:
    codes = codec.encode(actions(count))
    assert codes.dtype == np.int64
    if codec.tokens_per_chunk is not None:
        assert codes.shape == (count, codec.tokens_per_chunk)
    else:
        assert len(codes) == count
        assert (np.diff((codes == -1).astype(int), axis=1) >= 0).all()  # padding is behind, never between
        codes = np.where(codes == -1, 0, codes)
    assert ((codes >= 0) & (codes < codec.vocab_size)).all()
    assert_chunks(codec.decode(codes), count)


def test_what_it_encodes_it_calls_decodable(codec: ActionCodec) -> None:
    assert isinstance(codec, OURS)
    assert codec.decodable(codec.encode(actions(40))).tolist() == [True] * 40


def test_a_chunk_has_the_same_codes_in_any_company(codec: ActionCodec) -> None:
    chunks = actions(40)
    together = codec.encode(chunks)
    for i, chunk in enumerate(chunks):
        alone = codec.encode(chunk[None])
        np.testing.assert_array_equal(together[i, : alone.shape[1]], alone[0])
        assert (together[i, alone.shape[1] :] == -1).all()
        np.testing.assert_array_equal(codec.decode(alone), codec.decode(together[i : i + 1]))


def test_coding_changes_nothing_it_was_given(codec: ActionCodec) -> None:
    chunks = actions(5)
    chunks.setflags(write=False)
    codes = codec.encode(chunks)
    codes.setflags(write=False)
    codec.decode(codes)


@given(seed=st.integers(0, 2**31))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_codes_decode_within_the_limits(codec: ActionCodec, seed: int) -> None:
    rng = np.random.default_rng(seed)
    width = rng.integers(0, 30) if codec.tokens_per_chunk is None else codec.tokens_per_chunk
    codes = rng.integers(0, codec.vocab_size, (9, width))
    assert_chunks(codec.decode(codes), 9)
    if codec.tokens_per_chunk is None and width:
        codes[np.arange(width) >= rng.integers(0, width + 1, 9)[:, None]] = -1
        assert_chunks(codec.decode(codes), 9)


def test_actions_far_outside_the_limits_still_have_codes(codec: ActionCodec) -> None:
    assert_chunks(codec.decode(codec.encode(actions(3) * 1e6)), 3)


def test_saved_and_loaded_it_is_the_same(codec: ActionCodec, tmp_path: Path) -> None:
    codec.save(tmp_path / "codec")
    for loaded in (
        type(codec).load(tmp_path / "codec"),
        load_codec(tmp_path / "codec"),
        load_codec(tmp_path),
    ):
        assert loaded.spec == SPEC
        codes = codec.encode(actions(20))
        np.testing.assert_array_equal(loaded.encode(actions(20)), codes)
        np.testing.assert_array_equal(loaded.decode(codes), codec.decode(codes))
    assert [p.name for p in tmp_path.iterdir()] == ["codec"]


def test_saved_twice_it_is_the_same_bytes(codec: ActionCodec, tmp_path: Path) -> None:
    codec.save(tmp_path / "a")
    codec.save(tmp_path / "b")
    codec.save(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(2, HORIZON, 4), (2, HORIZON + 1, 3), (HORIZON, 3), (2, HORIZON * 3)])
def test_chunks_of_another_shape_are_refused(codec: ActionCodec, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="another shape") as caught:
        codec.encode(np.zeros(shape, np.float32))
    assert str(list(shape)) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_chunks_that_are_not_finite_are_refused_by_number(codec: ActionCodec, value: float) -> None:
    chunks = actions(8)
    chunks[5, 2, 1] = value
    with pytest.raises(DataError, match="chunk 5 of 8"):
        codec.encode(chunks)


@pytest.mark.parametrize("code", [-2, "vocab_size", 2**40])
def test_codes_out_of_range_are_refused_by_place(codec: ActionCodec, code: int | str) -> None:
    codes = codec.encode(actions(4))
    codes[2, 1] = codec.vocab_size if isinstance(code, str) else code
    with pytest.raises(DataError, match="chunk 2, position 1"):
        codec.decode(codes)


def test_padding_is_for_the_end_of_chunks_that_differ_in_length(codec: ActionCodec) -> None:
    codes = codec.encode(actions(4))
    codes[2, 0] = -1
    with pytest.raises(DataError, match="chunk 2, position 0"):
        codec.decode(codes)


@pytest.mark.usefixtures("unchecked_shapes")
def test_codes_of_another_shape_or_type_are_refused(codec: ActionCodec) -> None:
    codes = codec.encode(actions(4))
    widths = () if codec.tokens_per_chunk is None else (np.concatenate([codes, codes], 1), codes[:, :0])
    for wrong in (codes[0], *widths, codes.astype(np.float32)):
        with pytest.raises(DataError, match="another shape or type"):
            codec.decode(wrong)


def test_another_meaning_of_actions_is_refused(codec: ActionCodec) -> None:
    assert isinstance(codec, OURS)
    codec.require_spec(SPEC, "contract")
    with pytest.raises(SpecMismatchError, match="gripper_closes"):
        codec.require_spec(ActionSpec(SPEC.dims, 20.0, "euler_xyz", gripper_closes=1), "contract")


def test_a_directory_that_does_not_match_its_manifest_is_refused(codec: ActionCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for damaged in (whole[:-3], bytes([*whole[:-30], whole[-30] ^ 1, *whole[-29:]]), None):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            if file.name == "manifest.json" and damaged is not None and len(damaged) == len(whole):
                continue  # its own bytes are not in the manifest: what it says of the others is what counts
            with pytest.raises(DataError):
                load_codec(tmp_path)
            file.write_bytes(whole)
    load_codec(tmp_path)


def test_a_missing_or_foreign_codec_is_named(codec: ActionCodec, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no codec here"):
        load_codec(tmp_path)
    codec.save(tmp_path)
    other = UniformBinsCodec if isinstance(codec, VqVaeCodec) else VqVaeCodec
    with pytest.raises(CheckpointError, match="another kind"):
        other.load(tmp_path)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | {"codec": "uniform_bin"})
    with pytest.raises(DataError, match=r"unknown codec|does not match"):
        type(codec).load(tmp_path)
