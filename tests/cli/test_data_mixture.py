"""`vla data mixture` on two made-up data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.mixtures import write_numbered


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_numbered(tmp_path, "one", [6, 7, 8])
    write_numbered(tmp_path, "two", [5, 9])
    path = tmp_path / "mix.toml"
    path.write_text(
        '[window]\ncameras = ["primary", "front"]\n'
        '[[dataset]]\nuri = "one"\nweight = 3\n[[dataset]]\nuri = "two"\n'
    )
    return path


def test_it_shows_shares_and_reads_samples(vla, file):
    document = vla("data", "mixture", file, "--samples", 40, "--workers", 1, "--json").document
    assert [row["name"] for row in document["rows"]] == ["one", "two"]
    assert [row["share"] for row in document["rows"]] == [0.75, 0.25]
    assert [row["steps"] for row in document["rows"]] == [21, 14]
    assert sum(document["drawn"]) == document["samples"] == 40
    assert document["lacks"] == [["front"], ["front"]]
    assert document["samples_per_second"] > 0
    assert document["epoch_samples"] == 35


def test_a_seed_changes_what_is_drawn_and_nothing_else(vla, file):
    first, again, other = (
        vla("data", "mixture", file, "--samples", 7, "--workers", 1, "--seed", s, "--json").document
        for s in (1, 1, 2)
    )
    assert first["drawn"] == again["drawn"]
    assert first["rows"] == other["rows"]


def test_as_a_table(vla, file):
    ran = vla("data", "mixture", file, "--samples", 10, "--workers", 1)
    assert ran.code == 0
    for words in ("75.0%", "one", "front", "An epoch has 35 samples", "gripper"):
        assert words in ran.out


def test_mistakes_are_named(vla, file, tmp_path):
    assert vla("data", "mixture", tmp_path / "absent.toml").code == 2
    file.write_text('[[dataset]]\nuri = "onne"\n')
    ran = vla("data", "mixture", file)
    assert ran.code == 2
    assert "one" in ran.err
    file.write_text('[[datasets]]\nuri = "one"\n')
    assert "did you mean 'dataset'" in vla("data", "mixture", file).err


def test_damage_is_an_error_or_a_count(vla, file, tmp_path):
    write_numbered(tmp_path, "two", [5, 1])
    assert vla("data", "mixture", file, "--json").code == 3
    ran = vla("data", "mixture", file, "--samples", 10, "--workers", 1, "--skip-corrupt")
    assert ran.code == 0
    assert "1 too short" in ran.out
