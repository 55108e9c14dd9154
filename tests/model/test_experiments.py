"""Experiments: every combination once, shared stages once, and what goes with success."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.report import Table
from vla_data.runs import Manifest
from vla_model.experiments.matrix import Experiment, read_experiment, runs_of
from vla_model.experiments.recipe import KINDS, PRESETS, RecipeConfig, steps_of
from vla_model.experiments.running import _related, run_experiment
from vla_model.statistics import correlation

TEXT = """
name = "heads"
preset = "debug"
[set]
"evaluation.trials" = 1
[axes]
"policy.policy.head" = ["continuous", "flow"]
"policy.fit.seed" = [0, 1]
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    path = tmp_path / "heads.toml"
    path.write_text(TEXT)
    return read_experiment(path)


def test_every_combination_is_a_run(experiment: Experiment):
    runs = runs_of(experiment)
    assert [tuple(r.values.values()) for r in runs] == [
        ("continuous", 0), ("continuous", 1), ("flow", 0), ("flow", 1),
    ]  # fmt: skip
    assert all(r.recipe.evaluation.trials == 1 for r in runs)
    assert runs[3].recipe.policy.fit.seed == 1
    assert runs[0].recipe.policy.policy.head == "continuous"  # type: ignore[union-attr]
    assert len(runs_of(replace(experiment, axes={}))) == 1


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, experiment: Experiment):
    with pytest.raises(UnknownNameError, match=r"generate\.episodes"):
        runs_of(replace(experiment, axes={"generate.episode": [1]}))
    with pytest.raises(ConfigError, match="wrong type"):
        runs_of(replace(experiment, axes={"generate.episodes": ["many"]}))
    with pytest.raises(UnknownNameError, match="debug"):
        runs_of(replace(experiment, preset="debg"))
    with pytest.raises(ConfigError, match="no value"):
        replace(experiment, axes={"generate.episodes": []})
    with pytest.raises(ConfigError, match="too many"):
        replace(experiment, axes={"generate.episodes": list(range(2000))})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_experiment(tmp_path / "absent.toml")


def test_runs_share_what_they_agree_on():
    base = PRESETS["debug"]()
    assert isinstance(base, RecipeConfig)
    codes, numbers = (
        replace(base, policy=replace(base.policy, policy=replace(base.policy.policy, head=head)))  # type: ignore[call-arg]
        for head in ("codes", "continuous")
    )
    one, other = steps_of(codes, Path("/x")), steps_of(numbers, Path("/x"))
    assert one["data"] == replace(other["data"], recipe=codes)
    assert one["held"].directory == other["held"].directory != one["data"].directory
    assert "codec" in one
    assert "codec" not in other
    assert one["policy"].directory != other["policy"].directory
    more = steps_of(replace(numbers, evaluation=replace(numbers.evaluation, trials=9)), Path("/x"))
    assert [k for k in other if more[k].directory != other[k].directory] == ["evaluation"]
    wider = steps_of(replace(numbers, generate=replace(numbers.generate, episodes=3)), Path("/x"))
    changed = [k for k in other if wider[k].directory != other[k].directory]
    assert changed == ["data", "policy", "offline", "evaluation"]
    assert set(one) == set(KINDS)


def test_an_experiment_runs_goes_on_and_tells(experiment: Experiment, tmp_path: Path):
    experiment = replace(experiment, axes={"policy.policy.head": ["continuous", "codes"]})
    out = tmp_path / "out"
    told = []
    summary, sections = run_experiment(experiment, out, workers=1, on_progress=told.append)
    assert summary["runs"] == 2
    assert summary["stages"] == 9  # data, held, codec; policy, offline, evaluation twice
    rows = summary["results"]
    assert [r["values"]["policy.policy.head"] for r in rows] == ["continuous", "codes"]
    assert all(0 <= r["successes"] <= r["trials"] == 1 for r in rows)
    assert {"chunk_error", "direction", "training loss"} <= rows[0]["metrics"].keys()
    assert "training code accuracy" in rows[1]["metrics"]
    assert summary["goes_with_success"] == {}
    (table,) = [b for b in sections[0].blocks if isinstance(b, Table)]
    assert table.columns[:3] == ("run", "head", "success")
    policies = sorted((out / ".stages" / "policy").iterdir())
    before = [Manifest.load(p).seconds for p in policies]
    again, _ = run_experiment(experiment, out, workers=1)
    assert again == summary
    assert [Manifest.load(p).seconds for p in policies] == before
    assert told[-1].done == told[-1].total == 9


def test_what_goes_with_success():
    rows = [
        {"metrics": {"error": 1 - i / 10, "noise": (i * 7) % 5}, "successes": i, "trials": 10}
        for i in range(8)
    ]
    found = _related(rows)
    assert found["error"]["r"] == -1
    assert found["error"]["interval"] == [-1, -1]
    assert abs(found["noise"]["r"]) < 0.6
    assert found["noise"]["interval"][0] < 0 < found["noise"]["interval"][1]
    assert _related(rows[:4]) == {}


def test_correlation_is_pearsons_and_its_interval_covers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = 0.6 * x + 0.8 * rng.normal(size=30)
    value, low, high = correlation(x.tolist(), y.tolist())
    assert value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert low < value < high
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=40)
        y = 0.6 * x + 0.8 * rng.normal(size=40)
        _, low, high = correlation(x.tolist(), y.tolist(), resamples=300, seed=seed)
        hits += low <= 0.6 <= high
    assert hits >= 85
    assert math.isnan(correlation([1, 1, 1], [1, 2, 3])[0])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        correlation([1, 2], [1])
