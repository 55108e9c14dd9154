"""Every kind of codec by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ts.series import reaching

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from vla_data.protocols import ActionCodec
from vla_ts import CODECS, fit_codec, load_codec
from vla_ts.bins import UniformBinsConfig
from vla_ts.fit import PRESETS
from vla_ts.trajectories import Trajectories

HORIZON = 8


def quick(name: str):
    """Settings that fit in a moment; None where the defaults do."""
    if name != "vqvae":
        return None
    config = PRESETS["debug"]()
    return replace(config, fit=replace(config.fit, steps=20, device="cpu", threads=1))


@pytest.mark.parametrize("name", CODECS)
def test_each_is_fitted_saved_and_read_back_by_name(name: str, tmp_path: Path):
    data = reaching()
    settings = quick(name)
    codec = fit_codec(name, data, HORIZON, settings)
    assert isinstance(codec, ActionCodec)
    assert codec.action_horizon == HORIZON
    codec.spec.require_same(data.spec, name)
    codec.save(tmp_path / "codec")
    assert json.loads((tmp_path / "codec" / "config.json").read_text())["codec"] == name
    chunks = reaching(3, first=50).chunks(HORIZON)
    loaded = load_codec(tmp_path / "codec")
    np.testing.assert_array_equal(loaded.encode(chunks), codec.encode(chunks))
    decoded = loaded.decode(loaded.encode(chunks))
    std = np.array(data.stats().std)
    assert np.square((decoded - chunks) / std).mean() < 0.15


@pytest.mark.parametrize("name", CODECS)
def test_settings_survive_json(name: str):
    settings = CODECS[name].settings()
    assert from_dict(type(settings), json.loads(json.dumps(to_dict(settings)))) == settings


def test_a_mistyped_codec_and_settings_of_another_are_refused():
    with pytest.raises(UnknownNameError, match="dct_bpe"):
        fit_codec("dct_bp", reaching(2), HORIZON)
    with pytest.raises(ConfigError, match="settings of another codec"):
        fit_codec("spline", reaching(2), HORIZON, UniformBinsConfig())


@pytest.mark.parametrize("name", [n for n in CODECS if n != "vqvae"])
def test_nan_in_what_it_is_fitted_to_is_refused(name: str):
    data = reaching(3)
    broken = [e.copy() for e in data.episodes]
    broken[1][5, 2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        fit_codec(name, replace(data, episodes=tuple(broken)), HORIZON)


@pytest.mark.parametrize("name", [n for n in CODECS if n != "vqvae"])
def test_fitting_is_repeatable_and_a_missing_file_is_refused(name: str, tmp_path: Path):
    for directory in ("a", "b"):
        fit_codec(name, reaching(4), HORIZON).save(tmp_path / directory)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    for file in sorted((tmp_path / "a").iterdir()):
        whole = file.read_bytes()
        file.unlink()
        with pytest.raises(CheckpointError if file.name != "manifest.json" else DataError):
            load_codec(tmp_path / "a")
        file.write_bytes(whole)


def test_real_actions_keep_their_shape(shared: Path):
    from vla_data import open_episodes
    from vla_ts import read_trajectories

    data = read_trajectories(open_episodes(shared / "data" / "rlds" / "bridge_dataset"))
    learnt, held = data.folds(5)[0]
    chunks, std = held.chunks(6), np.array(learnt.stats().std)
    for name, most in (("uniform_bins", 0.05), ("dct_bpe", 0.05), ("spline", 0.15)):
        codec = fit_codec(name, learnt, 6)
        assert np.square((codec.decode(codec.encode(chunks)) - chunks) / std).mean() < most, name


def test_data_of_one_episode_are_enough():
    one = Trajectories("one", reaching(1).spec, reaching(1).episodes)
    assert fit_codec("dct_bpe", one, HORIZON).encode(one.chunks(HORIZON)).shape[0] == one.steps - HORIZON + 1
