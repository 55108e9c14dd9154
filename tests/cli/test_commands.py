"""The commands on tiny inputs, one after the other as a person would type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vla_cli.main import main


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of one task, as `vla data generate` leaves them."""
    out = tmp_path_factory.mktemp("demos") / "run"
    arguments = ["data", "generate", "metaworld", "--out", str(out), "--preset", "debug", "--workers", "1"]
    assert main(arguments) == 0
    return out


def test_generate_again_is_up_to_date(vla, demos):
    ran = vla("data", "generate", "metaworld", "--out", demos, "--preset", "debug", "--json")
    assert ran.code == 0
    assert ran.document["skipped"] is True
    assert ran.document["summary"]["episodes"] == 2
    assert "its page: vla report" in ran.err


def test_generate_with_another_seed_in_the_same_place_is_refused(vla, demos):
    ran = vla("data", "generate", "metaworld", "--out", demos, "--preset", "debug", "--seed", 1, "--json")
    assert ran.code == 3
    assert "another configuration" in ran.document["error"]["message"]


def test_inspect(vla, demos):
    document = vla("data", "inspect", demos, "--json").document
    assert document["name"] == "metaworld"
    assert {s["name"]: s["episodes"] for s in document["splits"]} == {"train": 2}
    shown = vla("data", "inspect", demos)
    assert shown.code == 0
    assert "\x1b" not in shown.out
    for words in ("corner4", "action", "gripper"):
        assert words in shown.out


def test_stats(vla, demos):
    ran = vla("data", "stats", demos, demos, "--json")
    assert [d["episodes"] for d in ran.document["datasets"]] == [2, 2]
    assert "2/2 episodes (100%)" in ran.err
    assert "metaworld-sawyer" in vla("data", "stats", demos).out


def test_wrong_data_sets_and_splits(vla, demos, tmp_path):
    assert vla("data", "inspect", demos, "--split", "trian").code == 2
    assert vla("data", "stats", tmp_path / "absent", "--json").document["error"]["exit_code"] == 2
    (tmp_path / "empty").mkdir()
    assert vla("data", "inspect", tmp_path / "empty").code == 3


def test_the_page_of_generated_data(vla, demos, tmp_path):
    page = tmp_path / "page.html"
    assert vla("report", demos, "--out", page).code == 0
    assert "Demonstrations" in page.read_text()


def test_evaluating_a_baseline(vla, tmp_path):
    command = ("eval", "metaworld", "--policy", "random", "--preset", "debug", "--workers", 1)
    out = tmp_path / "eval"
    document = vla(*command, "--episodes", 1, "--out", out, "--json").document
    assert document["summary"]["random"]["all"].endswith("/1")
    shown = vla(*command, "--episodes", 1, "--out", out)
    assert "Closed-loop success" in shown.out
    assert "random" in shown.out


@pytest.mark.slow
def test_from_demonstrations_to_a_driving_policy(vla, demos, tmp_path):
    """Codec, policy, closed loop; each command again is up to date."""
    codec, policy, closed = tmp_path / "codec", tmp_path / "policy", tmp_path / "eval"
    debug = ("--preset", "debug", "--json")
    commands = [
        ("ts", "fit-vqvae", "--data", demos, "--out", codec, "--device", "cpu", *debug),
        ("model", "finetune", "--data", demos, "--codec", codec, "--out", policy, "--device", "cpu", *debug),
        (
            "eval",
            "metaworld",
            "--checkpoint",
            policy,
            "--episodes",
            1,
            "--workers",
            1,
            "--out",
            closed,
            *debug,
        ),
    ]
    first = [vla(*command) for command in commands]
    assert [r.code for r in first] == [0, 0, 0]
    assert [json.loads(r.out)["skipped"] for r in first] == [False] * 3
    assert [vla(*command).document["skipped"] for command in commands] == [True] * 3
    assert first[2].document["summary"]["policy"]["reach"].endswith("/1")
    assert vla("report", tmp_path, "--json").document["sections"]


def test_a_codes_head_without_a_codec_says_how_to_get_one(vla, demos, tmp_path):
    ran = vla("model", "finetune", "--data", demos, "--out", tmp_path / "policy", "--preset", "debug")
    assert ran.code == 2
    assert "vla ts fit-vqvae" in ran.err


def test_from_a_mixture_to_a_policy_that_goes_on_from_it(vla, demos, tmp_path):
    mix = tmp_path / "mix.toml"
    mix.write_text(
        f'[[dataset]]\nuri = "{demos}/metaworld/1.0.0"\n'
        '[window]\naction_horizon = 8\ncameras = ["corner4", "gripperPOV"]\nimage_size = [32, 32]\n'
    )
    command = ("model", "midtrain", mix, "--preset", "debug", "--out", tmp_path / "mid", "--json")
    ran = vla(*command)
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["data_sets"] == 1
    assert vla(*command).document["skipped"]
    onward = ("model", "finetune", "--data", demos, "--preset", "vla", "--head", "continuous")
    onward += ("--start", tmp_path / "mid", "--set", "fit.steps=2", "--set", "fit.batch_size=2")
    ran = vla(*onward, "--out", tmp_path / "policy", "--json")
    assert ran.code == 0, ran.err
    assert "gpt" not in ran.document["summary"]["new_weights"]
    ran = vla("model", "finetune", "--data", demos, "--start", tmp_path / "mid", "--out", tmp_path / "other")
    assert ran.code == 2
    assert "--preset vla" in ran.err
