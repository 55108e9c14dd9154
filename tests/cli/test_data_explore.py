"""`vla data inspect | stats | report | view` as a person would type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.episodes import make_episode, write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "made_up", [make_episode(i, 6) for i in range(3)])


def test_inspect_writes_a_page_and_a_picture_per_camera(vla, dataset, tmp_path):
    ran = vla("data", "inspect", dataset, "--out", tmp_path / "page.html", "--images", tmp_path / "images")
    assert ran.code == 0
    assert "steps/" in ran.out
    assert "Warnings" in ran.out
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == ["front.png", "wrist.png"]
    assert (tmp_path / "page.html").read_text().count("data:image/png") == 2
    assert ran.err.count("wrote ") == 3


def test_inspect_in_json(vla, dataset):
    document = vla("data", "inspect", dataset, "--json").document
    assert document["standing"]["status"] == "described"
    assert [v["camera"] for v in document["views"]] == ["front", "wrist"]
    assert "pictures" not in document


def test_stats_of_several_data_sets_and_their_union(vla, dataset):
    document = vla("data", "stats", dataset, dataset, "--json").document
    assert [d["episodes"] for d in document["datasets"]] == [3, 3]
    assert document["merged"]["action"]["count"] == 36
    assert document["datasets"][0]["action"]["exact"] is True
    assert document["merged"]["action"]["exact"] is False
    assert vla("data", "stats", dataset, "--json").document["merged"] is None
    shown = vla("data", "stats", dataset, dataset).out
    assert "All together" in shown
    assert "quantiles by t-digest, 36 steps" in shown


@pytest.mark.parametrize("format", ["openvla", "openpi", "lerobot"])
def test_statistics_files(vla, dataset, tmp_path, format):
    printed = vla("data", "stats", dataset, "--format", format)
    assert printed.code == 0
    path = tmp_path / "stats.json"
    ran = vla("data", "stats", dataset, "--format", format, "--out", path)
    assert (ran.code, ran.out) == (0, "")
    assert json.loads(path.read_text()) == printed.document


def test_stats_as_a_page(vla, dataset, tmp_path):
    assert vla("data", "stats", dataset, "--out", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").read_text().count("<svg") == 2 + 4 + 5


def test_an_unknown_format_is_a_usage_error(vla, dataset):
    assert vla("data", "stats", dataset, "--format", "openpie").code == 2


def test_the_report_over_everything_here(vla, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("VLA_DATA", str(dataset.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    page = tmp_path / "page.html"
    ran = vla("data", "report", "--out", page, "--json")
    assert ran.document["page"] == str(page)
    assert len(ran.document["datasets"]) == 1
    assert "made_up (train)" in page.read_text()


def test_a_report_names_what_it_could_not_read(vla, dataset, tmp_path):
    ran = vla("data", "report", dataset, tmp_path / "absent", "--out", tmp_path / "page.html")
    assert ran.code == 0
    assert "could not be read" in ran.err


def test_a_report_over_nothing_says_what_to_do(vla, tmp_path, monkeypatch):
    monkeypatch.setenv("VLA_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    ran = vla("data", "report", "--json")
    assert ran.code == 3
    assert "vla data report DATASET" in ran.document["error"]["next"]


def test_view_writes_what_is_asked_for(vla, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = vla("data", "view", dataset, "--episode", 2, "--sheet", "sheet.png", "--json")
    assert ran.document["files"] == ["sheet.png"]
    assert ran.document["instruction"] == "Schließe die Tür 2"
    ran = vla("data", "view", dataset)
    assert "rerun episode-0.rrd" in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["episode-0.rrd", "sheet.png"]


def test_view_opens_nothing_by_itself(vla, dataset, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("vla_data.explore.viewing.subprocess.Popen", lambda c, **_: opened.append(c))
    recording = tmp_path / "e.rrd"
    assert vla("data", "view", dataset, "--out", recording).code == 0
    assert opened == []
    assert vla("data", "view", dataset, "--out", recording, "--open").code == 0
    assert opened[0][1:] == ["-m", "rerun", str(recording)]


def test_an_episode_that_is_not_there(vla, dataset):
    ran = vla("data", "view", dataset, "--episode", 9, "--json")
    assert ran.code == 2
    assert "0 to 2" in ran.document["error"]["expected"]
