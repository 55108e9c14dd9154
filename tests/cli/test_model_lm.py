"""`vla model tokenizer | pretrain | chat`, as a person calls them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.model.test_lm import sentences


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(sentences(3000))
    return path


@pytest.mark.parametrize("own", [True, False])
def test_from_text_to_talk(vla, text: Path, tmp_path: Path, own: bool, monkeypatch: pytest.MonkeyPatch):
    command = ["model", "pretrain", "--text", text, "--preset", "debug", "--tokens", "4000"]
    command += ["--procedures", "50", "--set", "context=192"]
    command += ["--out", tmp_path / "lm"]
    if not own:
        train = ("model", "tokenizer", "--text", text, "--vocab-size", "300", "--out", tmp_path / "tokens")
        made = vla(*train, "--json")
        assert made.code == 0, made.err
        assert made.document["summary"]["vocabulary"] == 300
        command += ["--tokenizer", tmp_path / "tokens"]
    ran = vla(*command, "--json")
    assert ran.code == 0, ran.err
    vocabulary = ran.document["summary"]["vocabulary"]
    assert 300 < vocabulary <= 512 if own else vocabulary == 300
    assert vla(*command, "--json").document["skipped"]
    said = vla("model", "chat", tmp_path / "lm", "--prompt", "the arm", "--max-tokens", "5", "--json")
    assert said.code == 0, said.err
    assert said.document["prompt"] == "the arm"
    again = vla("model", "chat", tmp_path / "lm", "--prompt", "the arm", "--max-tokens", "5", "--json")
    assert again.document == said.document
    taught = vla(
        "model", "instruct", tmp_path / "lm", "--preset", "debug", "--out", tmp_path / "taught", "--json"
    )
    assert taught.code == 0, taught.err
    assert taught.document["summary"]["held_out_families"]["of"] == 3
    told = vla("model", "chat", tmp_path / "taught", "--prompt", "Task: wipe the table.", "--max-tokens", "4")
    assert told.code == 0, told.err
    monkeypatch.setattr("sys.stdin", io.StringIO("the arm\nred mug\n"))
    lines = vla("model", "chat", tmp_path / "lm", "--max-tokens", "3")
    assert lines.code == 0, lines.err
    assert "the arm" in lines.out
    assert "red mug" in lines.out


def test_what_is_missing_is_said(vla, tmp_path: Path):
    ran = vla("model", "chat", tmp_path, "--prompt", "a")
    assert ran.code == 3
    assert "vla model pretrain" in ran.err
    ran = vla("model", "pretrain", "--text", tmp_path / "nothing", "--out", tmp_path / "run")
    assert ran.code == 3
    assert "no such text" in ran.err
    ran = vla("model", "pretrain", "--text", tmp_path, "--tokenizer", tmp_path, "--out", tmp_path / "run")
    assert ran.code == 3
    assert "tokenizer" in ran.err
