"""Explorations: every combination once, resumed exactly, shown whole."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ts.conftest import Reaching
from tests.ts.series import reaching

from vla_data.charts import BarChart, LineChart
from vla_data.config import from_dict, resolve, to_dict
from vla_data.errors import ConfigError, UnknownNameError
from vla_data.report import Table, load_sections, save_sections
from vla_ts import fit_codec
from vla_ts.points import Unit, load_point, mean_quality, measure_point, measure_unit
from vla_ts.quality import measure
from vla_ts.reference import GaussianReference
from vla_ts.sweep import PRESETS, ExploreConfig, Sweep, combinations, explore
from vla_ts.sweep_section import pareto

SWEEPS = (
    Sweep("uniform_bins", {"bins": (8, 64)}),
    Sweep("dct_bpe", {"scale": (4.0,)}, {"vocab_size": 300}),
    Sweep("spline", {"coefficients": (3, 30)}),
)
CONFIG = ExploreConfig(SWEEPS, (6,), most_chunks=500)


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("explored")
    summary, sections = explore([Reaching(10)], CONFIG, out, workers=1)
    return out, summary, sections


def test_every_combination_is_measured_or_says_why_not(explored):
    out, summary, sections = explored
    assert (summary["points"], summary["not_fitted"]) == (4, 1)
    failed = next(b for b in sections[0].blocks if isinstance(b, Table) and b.caption == "Not fitted")
    assert failed.rows[0][2:4] == ("spline", "coefficients 30")
    with (out / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["codec"] for r in rows] == ["uniform_bins", "uniform_bins", "dct_bpe", "spline"]
    assert float(rows[0]["error_nmse"]) > float(rows[1]["error_nmse"])
    assert float(rows[0]["gap_bits"]) == pytest.approx(
        float(rows[0]["rate_bits"]) - float(rows[0]["reference_bits"])
    )
    json.dumps(summary, allow_nan=False)


def test_the_page_shows_rates_dimensions_and_motion(explored, tmp_path: Path):
    out, _, sections = explored
    assert [s.title for s in sections] == ["Codecs, reaching, 6 steps", "reaching, 6 steps"]
    lines = [b for b in sections[1].blocks if isinstance(b, LineChart)]
    assert [line.name for line in lines[0].lines] == ["uniform_bins", "dct_bpe", "spline", "reference"]
    assert [line.name for line in lines[2].lines] == ["uniform_bins", "dct_bpe", "spline", "real"]
    bars = next(b for b in sections[1].blocks if isinstance(b, BarChart))
    assert bars.categories == ("x", "y", "z", "gripper")
    save_sections(tmp_path, sections)
    assert load_sections(tmp_path) == sections
    page = (out / "explore.html").read_text()
    assert "reference" in page
    assert "<script" not in page


def test_what_is_there_is_kept_and_what_is_missing_made(explored):
    out, summary, _ = explored
    files = sorted((out / "points").iterdir())
    assert len(files) == 5
    lost = files[0].read_bytes()
    times = {f: f.stat().st_mtime_ns for f in files}
    files[0].unlink()
    again, _ = explore([Reaching(10)], CONFIG, out, workers=1)
    assert again == summary
    assert {f for f in files if f.stat().st_mtime_ns != times[f]} == {files[0]}
    figures = [json.loads(data) for data in (lost, files[0].read_bytes())]
    for part in figures:
        part.pop("fit_seconds")
        if part["quality"]:
            part["quality"].pop("speed")
    assert figures[0] == figures[1]


def unit(**changes: object) -> Unit:
    settings = combinations(SWEEPS[0])[1][1]
    return replace(Unit("", 6, "uniform_bins", settings, (0.2, 1, 0), "dct", 500, ""), **changes)  # type: ignore[arg-type]


def test_a_point_is_measured_on_episodes_it_was_not_fitted_to(tmp_path: Path):
    data = reaching(10)
    point = measure_point(data, unit())
    learnt, held = data.split(0.2, 0)
    assert point.quality is not None
    codec_bins = fit_codec("uniform_bins", learnt, 6, unit().settings)
    expected = measure("x", codec_bins, held.chunks(6), learnt.stats(), learnt.chunks(6))
    assert point.quality.error == expected.error
    assert point.quality.rate == expected.rate
    reference = GaussianReference.of(held.chunks(6), learnt.stats())
    assert point.reference_bits == pytest.approx(reference.bits(expected.error.nmse))
    assert len(point.reference_by_dim) == 4
    longest = max(held.episodes, key=len)
    np.testing.assert_array_equal(point.real, longest[:120])
    data.save(tmp_path / "series.npz")
    measure_unit(unit(data=str(tmp_path / "series.npz"), result=str(tmp_path / "point.json")))
    kept = load_point(tmp_path / "point.json")
    assert kept.quality is not None
    assert kept.quality.error == point.quality.error


def test_folds_measure_every_episode():
    data = reaching(9)
    point = measure_point(data, unit(division=(0.0, 3, 0)))
    assert point.chunks == len(data.chunks(6))
    assert point.quality is not None


def test_figures_over_folds_are_means_and_largest():
    codec = fit_codec("uniform_bins", reaching(4), 6)
    parts = [measure("x", codec, reaching(2, first=f).chunks(6), reaching(4).stats()) for f in (10, 20)]
    both = mean_quality(parts)
    assert both.error.nmse == pytest.approx(np.mean([p.error.nmse for p in parts]))
    assert both.error.worst == max(p.error.worst for p in parts)
    assert both.codes.vocab_size == 256
    assert both.error.angle_mean is None


def test_a_front_keeps_what_nothing_beats():
    assert pareto([(3, 1), (1, 5), (2, 6), (2, 4), (4, 1)]) == [(1, 5), (2, 4), (3, 1)]


@pytest.mark.parametrize(
    ("sweep", "word"),
    [
        (Sweep("dct_bp"), "dct_bpe"),
        (Sweep("dct_bpe", {"scal": (1.0,)}), "scale"),
        (Sweep("vqvae", {"fit.step": (1,)}), "fit.steps"),
    ],
)
def test_mistyped_names_are_named_before_anything_runs(sweep: Sweep, word: str, tmp_path: Path):
    with pytest.raises(UnknownNameError, match=word):
        explore([Reaching(2)], ExploreConfig((sweep,)), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ConfigError, match="wrong type"):
        combinations(Sweep("uniform_bins", {"bins": ("many",)}))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_sound_and_survive_json(preset: str):
    config = PRESETS[preset]()
    assert all(combinations(s) for s in config.sweeps)
    assert to_dict(from_dict(ExploreConfig, json.loads(json.dumps(to_dict(config))))) == to_dict(config)


def test_a_sweep_is_declared_in_a_file(tmp_path: Path):
    file = tmp_path / "sweep.toml"
    file.write_text('horizons = [4]\n[[sweeps]]\ncodec = "spline"\ngrid = {bins = [4, 8], degree = [1, 2]}\n')
    config = resolve(PRESETS, "debug", file, ["folds=2"])
    assert (config.horizons, config.folds) == ((4,), 2)
    assert len(combinations(config.sweeps[0])) == 4


@pytest.mark.parametrize("wrong", [{"sweeps": ()}, {"horizons": ()}, {"folds": 0}, {"holdout": 1.0}])
def test_what_cannot_be_explored_is_refused(wrong: dict):
    with pytest.raises(ConfigError, match="explored"):
        replace(CONFIG, **wrong)
