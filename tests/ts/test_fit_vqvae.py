"""A codec fitted to demonstrations, measured, saved and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import Reaching

from vla_data.charts import BarChart, LineChart
from vla_data.chunks import chunk_actions
from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.protocols import Progress, no_progress
from vla_data.report import Section, Table, load_sections, save_sections
from vla_data.types import Episode
from vla_ts import FitVqvaeConfig, VqVaeCodec, fit_vqvae, load_codec
from vla_ts.entropy import entropies
from vla_ts.fit import PRESETS
from vla_ts.training import ChunkTable
from vla_ts.trajectories import split


def debug(**changes: object) -> FitVqvaeConfig:
    config = PRESETS["debug"]()
    fit = replace(config.fit, device="cpu", threads=1, **changes.pop("fit", {}))  # type: ignore[arg-type]
    return replace(config, fit=fit, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted(reaching: Reaching, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, list[Section]]:
    out = tmp_path_factory.mktemp("fitted")
    summary, sections = fit_vqvae(reaching, debug(), out, no_progress)
    return out, summary, sections


def held_out_chunks(config: FitVqvaeConfig, source: Reaching) -> np.ndarray:
    _, held = split([source[i].action for i in range(len(source))], config.holdout, config.fit.seed)
    return np.concatenate([chunk_actions(a, config.action_horizon) for a in held])


def test_a_few_codes_say_most_of_an_unseen_demonstration(fitted, reaching: Reaching):
    out, summary, _ = fitted
    codec = load_codec(out)
    assert isinstance(codec, VqVaeCodec)
    assert (codec.tokens_per_chunk, codec.vocab_size, codec.levels) == (3, 128, 3)
    chunks = held_out_chunks(debug(), reaching)
    error = codec.decode(codec.encode(chunks)) - chunks
    std = np.array(codec.norm_stats.std)
    assert np.square(error / std).mean() == pytest.approx(summary["nmse"], rel=1e-3)
    # One code a chunk of 64 numbers leaves under a third of the variance, three leave a small part.
    by_width = [
        np.square((codec.decode(codec.encode(chunks)[:, :w]) - chunks) / std).mean() for w in (1, 2, 3)
    ]
    assert by_width[0] < 0.35
    assert by_width[0] > by_width[1] > by_width[2]
    assert by_width[2] < 0.08
    # The gripper, which is either open or closed, is right nearly always.
    assert (np.sign(codec.decode(codec.encode(chunks))[..., 3]) == chunks[..., 3]).mean() > 0.97


def test_the_summary_sets_it_beside_uniform_bins(fitted):
    _, summary, _ = fitted
    json.dumps(summary, allow_nan=False)
    assert summary["tokens_per_chunk"] == 3
    assert summary["uniform_bins_tokens_per_chunk"] == 64
    assert summary["uniform_bins_nmse"] < summary["nmse"]
    assert 0 < summary["bits_per_chunk"] <= 3 * 7
    assert 1 < summary["perplexity"] <= 128
    assert summary["decodable"] == 1
    assert (summary["episodes"], summary["held_out_episodes"]) == (22, 2)


def test_the_page_shows_error_per_dimension_curve_and_trajectory(fitted, tmp_path: Path):
    _, _, sections = fitted
    blocks = sections[0].blocks
    tables = [b for b in blocks if isinstance(b, Table)]
    assert [row[0] for row in tables[1].rows] == ["x", "y", "z", "gripper"]
    assert all(len(row) == len(t.columns) for t in tables for row in t.rows)
    bars = next(b for b in blocks if isinstance(b, BarChart))
    assert bars.categories == ("x", "y", "z", "gripper")
    assert [g.name for g in bars.groups] == ["VQ-VAE", "uniform bins"]
    curves = [b for b in blocks if isinstance(b, LineChart)]
    assert curves[0].lines[0].y[0] > curves[0].lines[0].y[-1]
    assert all(len(c.lines[0].x) == len(c.lines[1].x) for c in curves[1:])
    save_sections(tmp_path, sections)
    assert load_sections(tmp_path) == sections


def test_what_is_left_behind_is_the_codec_and_the_record(fitted):
    out, _, _ = fitted
    assert sorted(p.name for p in out.iterdir()) == ["codec", "metrics.csv"]
    names = sorted(p.name for p in (out / "codec").iterdir())
    assert names == ["codec.safetensors", "config.json", "manifest.json"]


def test_interrupted_it_goes_on_to_the_same_codec(fitted, reaching: Reaching, tmp_path: Path):
    def stop(progress: Progress) -> None:
        if progress.stage == "fit-vqvae" and progress.done >= 90:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_vqvae(reaching, debug(), tmp_path, stop)
    fit_vqvae(reaching, debug(), tmp_path, no_progress)
    for name in ("codec.safetensors", "config.json"):
        assert (tmp_path / "codec" / name).read_bytes() == (fitted[0] / "codec" / name).read_bytes()


def test_a_learnt_encoder_is_trained(reaching: Reaching, tmp_path: Path):
    config = debug(encoder_hidden=(32,), fit={"steps": 20})
    summary, _ = fit_vqvae(reaching, config, tmp_path, no_progress)
    codec = load_codec(tmp_path)
    assert isinstance(codec, VqVaeCodec)
    weights = list(codec._network.encoder.parameters())
    assert weights
    assert all(p.abs().max() > 0 for p in weights)
    assert summary["nmse"] < 0.15


def test_one_episode_is_both_learnt_and_measured(tmp_path: Path):
    config = debug(codebook_size=8, levels=2, fit={"steps": 5})
    summary, sections = fit_vqvae(Reaching(1), config, tmp_path, no_progress)
    assert (summary["episodes"], summary["held_out_episodes"]) == (1, 0)
    assert "the one episode" in sections[0].blocks[0].text  # type: ignore[union-attr]


def test_real_actions_of_another_robot_fit_too(shared: Path, tmp_path: Path):
    from vla_data import open_episodes

    source = open_episodes(shared / "data" / "rlds" / "bridge_dataset")
    config = debug(codebook_size=32, action_horizon=4, holdout=0.3)
    summary, _ = fit_vqvae(source, config, tmp_path, no_progress)
    assert summary["nmse"] < 0.5  # 25 episodes of 9 noisy steps, 28 numbers in 15 bits; a constant gets 1
    codec = load_codec(tmp_path)
    codec.spec.require_same(source.robot.action, "codec")
    assert summary["uniform_bins_nmse"] < summary["nmse"]


class Broken(Reaching):
    """One episode with a NaN, or with a dimension too many."""

    def __init__(self, wide: bool) -> None:
        super().__init__(5)
        object.__setattr__(self, "wide", wide)

    def __getitem__(self, index: int) -> Episode:
        episode = super().__getitem__(index)
        action = episode.action.copy()
        if index == 3:
            action = np.pad(action, ((0, 0), (0, 1))) if self.wide else action  # type: ignore[attr-defined]
            action[7, 2] = 0 if self.wide else np.nan  # type: ignore[attr-defined]
        return replace(episode, action=action)


@pytest.mark.parametrize("wide", [True, False])
def test_bad_actions_are_named_by_episode(wide: bool, tmp_path: Path):
    with pytest.raises(DataError, match="reaching, episode 3"):
        fit_vqvae(Broken(wide), debug(), tmp_path, no_progress)
    assert not any(tmp_path.iterdir())


def test_no_episode_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no action"):
        fit_vqvae(Reaching(0), debug(), tmp_path, no_progress)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_survive_json(preset: str):
    config = PRESETS[preset]()
    assert from_dict(FitVqvaeConfig, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("change", [{"holdout": 1.0}, {"codebook_decay": 1.0}, {"commitment": -1.0}])
def test_settings_out_of_range_are_refused(change: dict):
    with pytest.raises(ConfigError):
        replace(PRESETS["default"](), **change)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 9), st.integers(0, 99))
def test_the_table_holds_the_chunks_a_policy_trains_on(lengths: list[int], horizon: int, seed: int):
    rng = np.random.default_rng(seed)
    actions = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
    table = ChunkTable(actions, horizon)
    expected = np.concatenate([chunk_actions(a, horizon) for a in actions])
    np.testing.assert_array_equal(table.chunks(np.arange(len(table))), expected)


@given(st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 99))
def test_a_split_loses_no_episode_and_keeps_some_on_each_side(count: int, share: float, seed: int):
    actions = [np.full((1, 1), i, np.float32) for i in range(count)]
    learnt, held = split(actions, share, seed)
    assert sorted(int(a[0, 0]) for a in [*learnt, *held]) == list(range(count))
    assert learnt
    assert bool(held) == (count > 1 and share > 0)


def test_entropy_of_known_codes():
    codes = np.array([[0, 1], [1, 1], [2, 1], [3, 1]])
    np.testing.assert_allclose(entropies(codes, 5), [2, 0], atol=1e-12)
