"""A run that fits a codec, and what a look at the codec says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.ts.conftest import SPEC, Reaching

from vla_data.config import merge, to_dict
from vla_data.errors import CheckpointError, UnknownNameError
from vla_data.report import Table
from vla_ts import SplineCodec, load_codec
from vla_ts.fit_run import fit_and_measure, presets
from vla_ts.inspection import inspect_codec


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("fit")
    config = merge(presets("spline")["default"](), {"action_horizon": 8, "settings": {"coefficients": 4}})
    summary, sections = fit_and_measure(Reaching(12), config, out)
    table = next(b for b in sections[0].blocks if isinstance(b, Table))
    assert table.columns == ("", "spline", "256 uniform bins")
    return out, summary


def test_the_run_leaves_a_codec_and_what_it_is_worth(fitted):
    out, summary = fitted
    codec = load_codec(out)
    assert isinstance(codec, SplineCodec)
    assert (codec.action_horizon, codec.tokens_per_chunk) == (8, 16)
    assert summary["tokens_per_chunk"] == 16
    assert 0 < summary["uniform_bins_nmse"] < summary["nmse"] < 0.2
    assert (summary["episodes"], summary["held_out_episodes"], summary["skipped_episodes"]) == (11, 1, 0)
    json.dumps(summary, allow_nan=False)


def test_a_look_tells_kind_rate_and_meaning(fitted):
    info = inspect_codec(fitted[0])
    assert (info.kind, info.tokens_per_chunk, info.vocab_size) == ("spline", 16, 256)
    assert info.tokens_per_second == pytest.approx(16 / 0.1)
    assert info.spec == SPEC
    assert info.settings["spline"]["coefficients"] == 4
    assert set(info.files) == {"config.json"}
    text = json.dumps(to_dict(info.sections()), allow_nan=False)
    for words in ("gripper", "matches", "B-spline", "16"):
        assert words in text


def test_a_changed_file_is_not_looked_at(fitted, tmp_path: Path):
    codec = load_codec(fitted[0])
    codec.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"degree": 3', '"degree": 2'))
    with pytest.raises(CheckpointError, match="does not match"):
        inspect_codec(tmp_path)


def test_mistyped_settings_are_named():
    with pytest.raises(UnknownNameError, match=r"settings\.coefficients"):
        merge(presets("spline")["default"](), {"settings": {"coeficients": 4}})
    with pytest.raises(UnknownNameError, match="spline"):
        presets("splin")
