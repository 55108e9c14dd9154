"""`vla data label` and `vla data augment`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.episodes import make_episode, write_dataset

from vla_data import open_episodes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    episodes = [make_episode(seed=i, steps=12) for i in range(3)]
    return write_dataset(tmp_path / "made_up" / "1.0.0", [*episodes, make_episode(seed=9, steps=1)])


def test_labels_in_a_copy(vla, source: Path, tmp_path: Path):
    lists = tmp_path / "lists.md"
    refused = vla("data", "label", source, "--out", tmp_path / "out")
    assert refused.code == 3
    assert "--skip-corrupt" in refused.err
    arguments = ("data", "label", source, "--out", tmp_path / "out", "--skip-corrupt", "--checklists", lists)
    ran = vla(*arguments, "--json")
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert (summary["episodes"], summary["skipped"], summary["reasons"]) == (3, 1, {"too short": 1})
    reader = open_episodes(summary["directory"])
    assert (
        sum(len(reader[i].substeps) for i in range(3))
        == summary["substeps"]
        == lists.read_text().count("[x]")
    )
    assert vla(*arguments, "--json").document["skipped"] is True
    assert "made_up" in vla("data", "inspect", tmp_path / "out").out


def test_labels_beside_the_data(vla, source: Path, tmp_path: Path):
    out = tmp_path / "side"
    ran = vla(
        "data",
        "label",
        source,
        "--out",
        out,
        "--method",
        "equal",
        "--set",
        "segments=3",
        "--sidecar",
        "--skip-corrupt",
    )
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in (out / "substeps.jsonl").read_text().splitlines()]
    assert [len(line["substeps"]) for line in lines] == [3, 3, 3]
    assert not list(out.rglob("*.tfrecord*"))


def test_a_wrong_method_names_the_right_ones(vla, source: Path, tmp_path: Path):
    ran = vla("data", "label", source, "--out", tmp_path / "out", "--method", "kinematics")
    assert ran.code == 2
    assert "kinematic" in ran.err
    ran = vla("data", "label", source, "--out", tmp_path / "out", "--method", "command", "--skip-corrupt")
    assert ran.code == 2
    assert "command.argv" in ran.err


def test_augmented_copies(vla, source: Path, tmp_path: Path):
    grid = tmp_path / "grid.png"
    arguments = ("data", "augment", source, "--out", tmp_path / "out", "--copies", 2, "--preview", grid)
    ran = vla(*arguments, "--skip-corrupt", "--preset", "images", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["episodes"] == 9
    assert len(open_episodes(tmp_path / "out")) == 9
    assert grid.read_bytes().startswith(b"\x89PNG")


def test_a_recipe_from_a_file(vla, source: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(
        json.dumps({"episode": [{"kind": "lag", "images": [1, 1], "state": [0, 0]}], "original": False})
    )
    ran = vla(
        "data", "augment", source, "--out", tmp_path / "out", "--config", recipe, "--set", "each_step=[]",
        "--skip-corrupt", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert {len(e) for e in map(open_episodes(tmp_path / "out").__getitem__, range(3))} == {11}
