"""Quantisers in training: what they say, what they hand over, and what a codec makes of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.series import reaching

from vla_data.errors import ConfigError
from vla_data.protocols import no_progress
from vla_ts.chunk_batches import rescaled
from vla_ts.fit import PRESETS, FitVqvaeConfig
from vla_ts.grids import ERROR, POINTS, REACH, GridPlan, allocate, best_factor, spread
from vla_ts.networks import ChunkNetwork, NetworkShape
from vla_ts.quantizers import GridQuantizer, ResidualQuantizer, make_quantizer, switch_patterns
from vla_ts.training import train_vqvae

SHAPE = NetworkShape(6, 2, levels=3, codebook_size=64)


def latents(count: int = 4000, seed: int = 0) -> torch.Tensor:
    """Correlated, of very different spread along their axes."""
    mixing = np.random.default_rng(99).normal(size=(12, 12)) * np.geomspace(3, 0.05, 12)[:, None]
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.normal(size=(count, 12)) @ mixing + 0.3).astype(np.float32))


def config(**changes: object) -> FitVqvaeConfig:
    base = PRESETS["debug"]()
    fit = replace(base.fit, steps=30, batch_size=128, device="cpu", threads=1)
    settings = {"codebook_size": 64, "decoder_hidden": (16,), "action_horizon": 8, "fit": fit, **changes}
    return replace(base, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("signs", [False, True])
def test_the_nearest_code_is_the_one_that_rounding_gives(signs: bool):
    """What training saw of each level is what the network says with the codebooks it was handed."""
    quantizer = GridQuantizer(latents(), SHAPE, signs)
    network = ChunkNetwork(SHAPE)
    network.codebooks.copy_(quantizer.codebooks())
    z = latents(500, seed=1)
    parts, commitment = quantizer(z)
    codes = network.encode(z)
    assert commitment == 0
    for level in range(3):
        torch.testing.assert_close(network.codebooks[level, codes[:, level]], parts[level], atol=1e-4, rtol=0)


@pytest.mark.parametrize("signs", [False, True])
def test_every_level_leaves_less_over_also_of_data_it_did_not_see(signs: bool):
    quantizer = GridQuantizer(latents(), SHAPE, signs)
    z = latents(2000, seed=2)
    left = [float((z - z.mean(0)).square().sum(1).mean())]
    left += [float((z - p).square().sum(1).mean()) for p in quantizer(z)[0].detach().cumsum(0)]
    assert all(after < 0.7 * before for before, after in pairwise(left))


def test_gradients_reach_latents_and_scales():
    quantizer = GridQuantizer(latents(), SHAPE, signs=False)
    z = latents(50, seed=3).requires_grad_()
    (quantizer(z)[0].sum(0) - 1).square().mean().backward()
    assert z.grad is not None
    assert z.grad.abs().max() > 0
    assert all(scale.grad.abs().max() > 0 for scale in quantizer.scales)


def test_few_latents_do_not_invent_correlations():
    """Of 12 latents of white noise, principal axes would claim most of the variance for a few."""
    rng = np.random.default_rng(0)
    few = torch.from_numpy(rng.normal(size=(12, 12)).astype(np.float32))
    many = torch.from_numpy(rng.normal(size=(3000, 12)).astype(np.float32))
    # The same ones over and over look like many: nothing is leant on then.
    wary, trusting = (GridQuantizer(z, SHAPE, signs=False) for z in (few, few.repeat(400, 1)))
    errors = [float((many - q(many)[0].sum(0)).square().mean().detach()) for q in (wary, trusting)]
    assert errors[0] < 0.95 * errors[1]


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8).map(np.array),
    st.integers(2, 4096),
)
def test_points_never_exceed_the_codebook_and_spread_as_variance_does(variances: np.ndarray, size: int):
    counts = allocate(variances, size)
    assert np.prod(counts.astype(float)) <= size
    assert counts.max() > 1
    order = np.argsort(-variances, kind="stable")
    assert counts[order[0]] == counts.max()


def test_points_are_about_as_well_spread_as_by_trying_all():
    variances = np.array([4.0, 1.0, 0.3])
    error = dict(zip(POINTS.tolist(), ERROR, strict=True))

    def left(counts: tuple[int, ...]) -> float:
        return sum(v * error[c] for v, c in zip(variances, counts, strict=True))

    best = min(left(c) for c in product(POINTS.tolist(), repeat=3) if np.prod(c) <= 64)
    assert left(tuple(allocate(variances, 64).tolist())) <= 1.15 * best


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=12).map(np.array),
    st.lists(st.sampled_from([2.0, 16.0, 128.0, 2048.0]), min_size=1, max_size=5),
)
def test_no_level_exceeds_its_room_and_every_level_says_something(variances: np.ndarray, rooms: list[float]):
    levels = spread(variances, rooms)
    assert len(levels) == len(rooms)
    for counts, room in zip(levels, rooms, strict=True):
        assert 1 < np.prod(counts.astype(float)) <= room + 1e-6
    left, greedy = variances.copy(), variances.copy()
    for counts, room in zip(levels, rooms, strict=True):
        left *= np.interp(counts, POINTS, ERROR)
        greedy *= np.interp(allocate(greedy, room), POINTS, ERROR)
    assert left.sum() <= greedy.sum() * (1 + 1e-9)


def test_points_shared_out_together_leave_less_than_level_by_level():
    """One level after the other, the first one cuts its axes coarsely and the second cuts them again."""
    variances = np.geomspace(3, 0.02, 24)
    together, greedy = variances.copy(), variances.copy()
    for counts in spread(variances, [2048.0] * 4):
        together *= np.interp(counts, POINTS, ERROR)
    for _ in range(4):
        greedy *= np.interp(allocate(greedy, 2048), POINTS, ERROR)
    assert together.sum() < 0.95 * greedy.sum()


def test_of_many_normal_latents_points_reach_as_the_table_says():
    x = np.random.default_rng(0).normal(size=(4000, 6)) * np.geomspace(2, 0.5, 6)
    factor = best_factor(x, lambda some: GridPlan.of(some, 6, [256.0, 256.0]))
    assert factor == pytest.approx(1, abs=0.11)


def test_the_reach_of_few_latents_is_that_of_unseen_ones():
    """Axes chosen by twenty latents fit those twenty; others lie further out."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(24, 24)) * np.geomspace(2, 0.1, 24)[:, None]
    few, unseen = rng.normal(size=(20, 24)) @ mixing, rng.normal(size=(2000, 24)) @ mixing
    plan = GridPlan.of(few, 6, [256.0] * 3)
    axes_own = np.sqrt(np.square((few - few.mean(0)) @ plan.axes).mean(0))
    ratio = plan.reaches[0][plan.counts[0] > 1] / axes_own[plan.counts[0] > 1]
    usual = np.interp(plan.counts[0][plan.counts[0] > 1], POINTS, REACH)
    narrow = replace(plan, reaches=tuple(r / (ratio / usual).mean() for r in plan.reaches))
    assert plan.left_over(unseen) < narrow.left_over(unseen)


def test_patterns_are_all_ways_to_switch_at_most_once():
    patterns = switch_patterns(5)
    assert len(np.unique(patterns, axis=0)) == len(patterns) == 10
    assert (abs(np.diff(patterns, axis=1)).sum(1) <= 1).all()
    assert set(np.unique(patterns)) == {0.0, 1.0}


def switching(count: int, seed: int = 0) -> torch.Tensor:
    """Chunks of 6 steps of 3 numbers: two vary, the last is a gripper at ±1 that switches once or never."""
    rng = np.random.default_rng(seed)
    chunks = rng.normal(size=(count, 6, 3)).cumsum(1)
    chunks[:, :, 2] = 2 * switch_patterns(6)[rng.integers(0, 12, count)] - 1
    return torch.from_numpy(chunks.reshape(count, -1).astype(np.float32))


def test_a_gripper_that_only_switches_is_exact_after_the_first_code():
    shape = NetworkShape(6, 3, levels=3, codebook_size=256)
    quantizer = GridQuantizer(switching(60), shape, False, grippers=(2,))
    network = ChunkNetwork(shape)
    network.codebooks.copy_(quantizer.codebooks())
    z = switching(400, seed=1)
    first = network.decode(network.encode(z)[:, :1]).unflatten(1, (6, 3))
    torch.testing.assert_close(first[..., 2], z.unflatten(1, (6, 3))[..., 2], atol=0.02, rtol=0)
    plain = GridQuantizer(switching(60), shape, False)
    errors = [float((q(z)[0].sum(0) - z).square().mean().detach()) for q in (quantizer, plain)]
    assert errors[0] < 0.8 * errors[1]
    torch.testing.assert_close(
        network.codebooks[torch.arange(3), network.encode(z)].sum(1),
        quantizer(z)[0].sum(0),
        atol=1e-4,
        rtol=0,
    )


def test_a_gripper_that_moves_freely_is_left_to_the_axes():
    shape = NetworkShape(6, 3, levels=2, codebook_size=256)
    free = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 18)).astype(np.float32))
    assert not len(GridQuantizer(free, shape, False, grippers=(2,)).patterns)
    assert not len(GridQuantizer(switching(60), replace(shape, codebook_size=16), False, (2,)).patterns)


def test_the_table_of_uniform_quantisers_is_that_of_a_normal_variable():
    x = np.random.default_rng(0).normal(size=200_000)
    for points, reach, error in zip(POINTS[1:], REACH[1:], ERROR[1:], strict=True):
        step = 2 * reach / (points - 1)
        rounded = (np.rint((x.clip(-reach, reach) + reach) / step) * step) - reach
        assert np.square(x - rounded).mean() == pytest.approx(error, rel=0.03)


@pytest.mark.parametrize(("kind", "levels"), [("vq", 1), ("residual_vq", 2), ("fsq", 2), ("lfq", 2)])
def test_each_quantiser_makes_a_codec_of_unseen_motion(kind: str, levels: int, tmp_path: Path):
    codec, result = train_vqvae(reaching(), config(quantizer=kind, levels=levels), tmp_path, no_progress)
    chunks = reaching(4, first=90).chunks(8)
    error = np.square((codec.decode(codec.encode(chunks)) - chunks) / np.array(codec.norm_stats.std)).mean()
    assert error < 0.45
    assert {"error", "rmse_m"} <= result.history.keys()
    assert (codec.tokens_per_chunk, codec.vocab_size) == (levels, 64)
    random = np.random.default_rng(0).integers(0, 64, (300, levels))
    decoded = codec.decode(random)
    assert np.isfinite(decoded).all()
    assert (abs(decoded) <= 1).all()


@pytest.mark.parametrize("kind", ["fsq", "lfq"])
def test_an_encoder_learns_through_a_grid(kind: str, tmp_path: Path):
    settings = {"quantizer": kind, "encoder_hidden": (16,), "levels": 2}
    codec, _ = train_vqvae(reaching(), config(**settings), tmp_path, no_progress)
    added = codec._network.encoder.added
    assert added is not None
    assert all(p.abs().max() > 0 for p in added.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["conv", "transformer"])
def test_coders_along_time_add_to_the_identity(kind: str, tmp_path: Path):
    settings = {"encoder": kind, "decoder": kind, "encoder_hidden": (16, 16), "decoder_hidden": (16, 16)}
    codec, _ = train_vqvae(reaching(), config(**settings), tmp_path, no_progress)
    for coder in (codec._network.encoder, codec._network.decoder):
        assert all(p.abs().max() > 0 for p in coder.parameters())
    codec.save(tmp_path / "codec")
    again = type(codec).load(tmp_path / "codec")
    chunks = reaching(2, first=50).chunks(8)
    np.testing.assert_array_equal(again.encode(chunks), codec.encode(chunks))


def test_prefixes_decode_better_when_they_were_trained(tmp_path: Path):
    chunks = reaching(6, first=70).chunks(8)
    errors = []
    for share in (0.0, 0.5):
        settings = config(prefix_share=share, decoder_hidden=(64,), codebook_size=16)
        settings = replace(settings, fit=replace(settings.fit, steps=200))
        codec, _ = train_vqvae(reaching(), settings, tmp_path / str(share), no_progress)
        errors.append(np.square(codec.decode(codec.encode(chunks)[:, :1]) - chunks).mean())
    assert errors[1] < errors[0]


def test_without_encoder_and_decoder_there_is_still_a_codec(tmp_path: Path):
    codec, _ = train_vqvae(reaching(), config(decoder_hidden=()), tmp_path, no_progress)
    chunks = reaching(2, first=50).chunks(8)
    assert np.square(codec.decode(codec.encode(chunks)) - chunks).mean() < 0.1


def test_interrupted_a_grid_goes_on_to_the_same_codec(tmp_path: Path):
    settings = config(quantizer="fsq", encoder_hidden=(8,))
    settings = replace(settings, fit=replace(settings.fit, checkpoint_every=10, log_every=5))

    def stop(progress) -> None:
        if progress.stage == "fit-vqvae" and progress.done >= 20:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_vqvae(reaching(), settings, tmp_path / "a", stop)
    for name in ("a", "b"):
        train_vqvae(reaching(), settings, tmp_path / name, no_progress)[0].save(tmp_path / name / "codec")
    weights = [(tmp_path / n / "codec" / "codec.safetensors").read_bytes() for n in "ab"]
    assert weights[0] == weights[1]


def test_rarely_used_codes_are_averaged_over_as_many_chunks():
    few, many = (ResidualQuantizer(12, 1, size, batch_size=64, decay=0.9) for size in (16, 256))
    decays = [getattr(q.layers.layers[0]._codebook, "decay") for q in (few, many)]  # noqa: B009
    assert decays == pytest.approx([0.9, 1 - 0.1 / 16])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantizer": "vq", "levels": 2}, "one level"),
        ({"quantizer": "lfq", "codebook_size": 48}, "power of two"),
        ({"quantizer": "lfq", "codebook_size": 2**13}, "more bits than there are axes"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict, said: str):
    settings = config(**changes)
    shape = replace(SHAPE, levels=settings.levels, codebook_size=settings.codebook_size)
    with pytest.raises(ConfigError, match=said):
        make_quantizer(settings, shape, latents(100))


def test_blocks_of_a_transformer_have_one_width():
    with pytest.raises(ConfigError, match="one width"):
        NetworkShape(6, 2, 3, 64, encoder_hidden=(8, 16), encoder="transformer")


def test_rescaled_chunks_stay_within_limits_and_leave_grippers_alone():
    data = reaching(3)
    chunks = data.chunks(8)
    larger = rescaled(chunks, data.spec, 0.5, np.random.default_rng(0))
    assert (larger >= data.spec.low).all()
    assert (larger <= data.spec.high).all()
    np.testing.assert_array_equal(larger[..., 3], chunks[..., 3])
    touched = (larger[..., :3] != chunks[..., :3]).any((1, 2))
    assert 0.35 < touched.mean() < 0.65
    still = abs(chunks[..., :3]) < 0.3  # far from the limits: a factor for a whole dimension of a chunk
    for before, after, free in zip(chunks, larger, still, strict=True):
        for d in range(3):
            ratio = after[free[:, d], d] / before[free[:, d], d]
            np.testing.assert_allclose(
                ratio[abs(after[free[:, d], d]) < 0.99], ratio[:1].mean() if len(ratio) else 1, rtol=1e-4
            )


def test_rescaling_helps_large_codebooks_with_motion_they_have_not_seen(tmp_path: Path):
    chunks = reaching(20, first=300).chunks(8)
    errors = []
    for rescale in (0.0, 0.25):
        settings = config(codebook_size=512, levels=2, decoder_hidden=(), rescale=rescale)
        codec, _ = train_vqvae(reaching(10), settings, tmp_path / str(rescale), no_progress)
        errors.append(np.square(codec.decode(codec.encode(chunks)) - chunks).mean())
    assert errors[1] < errors[0]
