"""`vla model align` over the whole chain: scenes, encoder, language model, questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.model.test_lm import sentences


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vla_cli.main import main

    root = tmp_path_factory.mktemp("parts")
    (root / "text.txt").write_text(sentences(3000))
    commands = (
        ["data", "generate", "tabletop", "--episodes", "6", "--out", "scenes"],
        ["vision", "train-encoder", "--data", "scenes", "--preset", "debug", "--set", "sight.look=none",
         "--set", "encoder.parts=patches", "--out", "encoder"],
        ["model", "pretrain", "--text", "text.txt", "--preset", "debug", "--tokens", "3000", "--set",
         "context=320", "--out", "lm"],
    )  # fmt: skip
    names = {"scenes", "encoder", "text.txt", "lm"}
    for command in commands:
        assert main([str(root / word) if word in names else word for word in command]) == 0
    return root


def test_scenes_become_answers(vla, parts: Path, tmp_path: Path) -> None:
    command = ["model", "align", "--data", parts / "scenes", "--encoder", parts / "encoder"]
    command += ["--start", parts / "lm", "--preset", "debug", "--out", tmp_path / "out", "--json"]
    ran = vla(*command)
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert summary["held_out_scenes"] == 5
    for kind in ("count", "relation", "depth", "speed"):
        assert summary[kind]["of"] == 4
        assert 0 <= summary[kind]["right"] <= 1
    assert (tmp_path / "out" / "scene" / "projector.safetensors").is_file()
    assert vla(*command).document["skipped"]
    ask = ["model", "ask", tmp_path / "out", "How many things are there?", "Is it?"]
    asked = vla(*ask, "--data", parts / "scenes", "--episode", 1, "--json")
    assert asked.code == 0, asked.err
    assert [a["question"] for a in asked.document] == ["How many things are there?", "Is it?"]
    refused = vla(*ask, "--data", parts / "scenes", "--episode", 7)
    assert "no such episode" in refused.err


def test_an_encoder_that_is_not_there_is_named(vla, parts: Path, tmp_path: Path) -> None:
    command = ["model", "align", "--data", parts / "scenes", "--encoder", tmp_path, "--start", parts / "lm"]
    ran = vla(*command, "--preset", "debug", "--out", tmp_path / "out")
    assert ran.code != 0
    assert "encoder" in ran.err


def test_series_become_answers(vla, parts: Path, tmp_path: Path) -> None:
    command = ["model", "align", "--series", "--start", parts / "lm", "--preset", "debug", "--out", tmp_path]
    ran = vla(*command, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["of"] == 8
    assert (tmp_path / "series" / "encoder.safetensors").is_file()


def test_neither_scenes_nor_series_is_refused(vla, parts: Path, tmp_path: Path) -> None:
    ran = vla("model", "align", "--start", parts / "lm", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "--series" in ran.err
