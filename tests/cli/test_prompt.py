"""`vla prompt show | render`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.model.test_lm import sentences


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vla_data.sim import CameraView
    from vla_data.sim.generate import GenerateConfig, generate

    out = tmp_path_factory.mktemp("data")
    config = GenerateConfig(tasks=("reach",), episodes=1, cameras=(CameraView("corner4", "corner4", 32, 32),))
    generate(config, out, workers=1)
    return out


def test_what_is_shown_can_be_rendered_again(vla, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shown = vla("prompt", "show", "--data", data, "--step", 9, "--past", 4, "--out", page, "--json")
    assert shown.code == 0, shown.err
    document = shown.document
    assert "Task: " in document["text"]
    assert "- [ ] move to the goal" in document["text"]
    assert len(document["series"]["past actions"]) == 4
    assert page.read_text().count("<img") == 1
    kept = tmp_path / "prompt.json"
    kept.write_text(json.dumps(document))
    rendered = vla("prompt", "render", kept, "--json")
    assert rendered.code == 0, rendered.err
    assert rendered.document == {"text": document["text"], "tokens": None}
    assert document["text"] in vla("prompt", "render", kept).out


def test_tokens_are_counted_and_kept_within_a_budget(vla, data: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(sentences(3000))
    made = vla("model", "tokenizer", "--text", text, "--vocab-size", 300, "--out", tmp_path / "tokens")
    assert made.code == 0, made.err
    show = ["prompt", "show", "--data", data, "--tokenizer", tmp_path / "tokens", "--json"]
    whole = vla(*show).document
    assert whole["left_out"] == []
    tight = vla(*show, "--budget", whole["tokens"] - 1).document
    assert tight["tokens"] < whole["tokens"]
    assert tight["left_out"] == ["cameras"]
    refused = vla(*show[:-1], "--budget", 3)
    assert refused.code != 0
    assert "does not fit" in refused.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--episode", 7], "no such episode"),
        (["--step", 5000], "no such step"),
        (["--without", "robots"], "robot"),
        (["--budget", 50], "needs a tokenizer"),
    ],
)
def test_what_is_not_there_is_named(vla, data: Path, options: list[object], said: str) -> None:
    ran = vla("prompt", "show", "--data", data, *options)
    assert ran.code != 0
    assert said in ran.err


def test_a_file_that_is_no_prompt_is_refused(vla, tmp_path: Path) -> None:
    path = tmp_path / "prompt.json"
    path.write_text('{"taks": "x"}')
    ran = vla("prompt", "render", path)
    assert ran.code != 0
    assert "task" in ran.err
