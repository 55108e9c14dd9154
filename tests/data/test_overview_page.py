"""The page over several data sets: what it says of each, pictures included, and of those it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.episodes import make_episode, write_dataset

from vla_data.explore import look_at, report_sections
from vla_data.report import write_page


@pytest.fixture
def page(tmp_path: Path, shared: Path) -> str:
    made = write_dataset(tmp_path / "made", [make_episode(i, 4) for i in range(3)], split="val")
    said = []
    looked = look_at([shared / "data/rlds", made, tmp_path / "absent"], said.append)
    assert {p.stage for p in said} == {"reading bridge_dataset", "reading made_up"}
    assert [bool(x.failure) for x in looked] == [False, False, True]
    (tmp_path / "media").mkdir()
    write_page(tmp_path / "page.html", "Data", report_sections(looked, tmp_path / "media"))
    return (tmp_path / "page.html").read_text()


def test_every_data_set_is_on_the_page(page: str):
    for words in (
        "bridge_dataset (train)",
        "made_up (val)",
        "Could not be read",
        "unknown data set",
        "put carrot",
    ):
        assert words in page, words
    assert page.count('src="data:image/png;base64,') == 4 + 2
    assert "camera wrist is black" in page
    assert "validates nothing" in page


def test_every_dimension_has_its_histogram(page: str):
    for name in ("action x", "action gripper", "state roll", "state s4"):
        assert f">{name}<" in page


def test_a_single_data_set_is_compared_with_nothing(tmp_path: Path):
    made = write_dataset(tmp_path / "made", [make_episode(0, 4)])
    sections = report_sections(look_at([made]), tmp_path)
    assert [s.title for s in sections] == ["Data sets", "Warnings", "made_up (train)"]
    assert [b.kind for b in sections[0].blocks] == ["table"]


def test_nothing_but_failures_is_still_a_page(tmp_path: Path):
    sections = report_sections(look_at([tmp_path / "a", tmp_path / "b"]), tmp_path)
    assert [b.kind for b in sections[0].blocks] == ["text", "text"]


def test_data_sets_of_one_name_are_told_apart(tmp_path: Path):
    made = [write_dataset(tmp_path / name, [make_episode(0, 4)]) for name in ("a", "b")]
    titles = [s.title for s in report_sections(look_at(made), tmp_path)]
    assert titles[2:] == [f"made_up (train) at {path}" for path in made]
