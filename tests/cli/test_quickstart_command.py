"""`vla quickstart`: options into its configuration, its summary onto the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_cli.quickstart import earlier_weights, missing
from vla_data.report import Code, Text
from vla_data.runs import make_manifest

SUMMARY = {
    "out": "runs/x",
    "report": "runs/x/report.html",
    "tasks": ["reach", "door-open"],
    "success": {
        "policy": {"reach": "19/20", "door-open": "20/20", "all": "39/40", "rate": 0.975},
        "random": {"reach": "0/20", "door-open": "0/20", "all": "0/40", "rate": 0.0},
    },
    "stages": [
        {"name": "generate", "seconds": 61.0, "skipped": True},
        {"name": "policy", "seconds": 200.0, "skipped": False},
    ],
    "seconds": 261.0,
    "machine": "Linux, 2 cores",
}


@pytest.fixture
def asked(monkeypatch):
    """What the library was asked to do; it does nothing."""
    calls = []

    def run(config, out, *, workers, on_progress):
        calls.append((config, out, workers))
        return SUMMARY

    monkeypatch.setattr("vla_cli.quickstart.run", run)
    return calls


def test_the_table_shows_success_beside_the_baselines_and_the_time_of_each_stage(vla, asked, tmp_path):
    ran = vla("quickstart", "--out", tmp_path)
    assert ran.code == 0
    for words in ("reach", "19/20", "98%", "random", "0/40", "1m01s", "up to date", "4m21s"):
        assert words in ran.out
    assert "page: runs/x/report.html" in ran.err
    assert vla("quickstart", "--out", tmp_path, "--json").document == SUMMARY


def test_options_reach_the_stages_they_belong_to(vla, asked, tmp_path):
    options = ["--tasks", "reach,door-open", "--episodes", 3, "--eval-episodes", 4, "--device", "cpu"]
    more = ["--seed", 5, "--workers", 6, "--set", "policy.fit.steps=7", "--json"]
    assert vla("quickstart", "--out", tmp_path, *options, *more).code == 0
    config, out, workers = asked[0]
    assert (out, workers) == (tmp_path, 6)
    assert (config.tasks, config.seed) == (("reach", "door-open"), 5)
    assert (config.generate.episodes, config.evaluation.trials) == (3, 4)
    assert (config.codec.fit.device, config.policy.fit.device) == ("cpu", "cpu")
    assert config.policy.fit.steps == 7


def test_smoke_is_the_preset_of_that_name(vla, asked, tmp_path):
    vla("quickstart", "--out", tmp_path, "--smoke")
    vla("quickstart", "--out", tmp_path, "--preset", "smoke")
    vla("quickstart", "--out", tmp_path)
    assert asked[0][0] == asked[1][0]
    assert asked[0][0] != asked[2][0]


def test_wrong_names(vla, asked, tmp_path):
    ran = vla("quickstart", "--out", tmp_path, "--preset", "smok")
    assert (ran.code, "did you mean 'smoke'?" in ran.err) == (2, True)
    ran = vla("quickstart", "--out", tmp_path, "--set", "polciy.fit.steps=1")
    assert (ran.code, "did you mean 'policy'" in ran.err) == (2, True)
    assert asked == []


def test_weights_of_earlier_runs_are_looked_for_once(tmp_path: Path):
    """A run goes on as it began: what is trained later is for another run."""
    for name, stage in (("detector", "train-detector"), ("depth", "finetune")):
        (tmp_path / name).mkdir()
        make_manifest(tmp_path / name, stage, {}).save(tmp_path / name)
    first, later = tmp_path / "first", tmp_path / "later"
    assert earlier_weights(first) == {"detector": tmp_path / "detector"}  # the other is no depth network
    make_manifest(tmp_path / "depth", "train-depth", {}).save(tmp_path / "depth")
    assert set(earlier_weights(first)) == {"detector"}
    assert set(earlier_weights(later)) == {"detector", "depth"}
    empty = tmp_path / "elsewhere" / "run"
    assert earlier_weights(empty) == {}


@pytest.mark.parametrize(
    ("detector", "depth"), [("labels", "sensor"), ("labels", "x"), ("x", "sensor"), ("x", "x")]
)
def test_what_stands_in_is_said_with_the_commands_that_train_it(detector: str, depth: str):
    told = " ".join(block.text for block in missing(detector, depth) if isinstance(block, (Text, Code)))
    assert ("vla vision train --data" in told) == (detector == "labels")
    assert ("vla vision train-depth" in told) == (depth == "sensor")
    assert ("vla data generate" in told) == (detector == "labels" or depth == "sensor")
