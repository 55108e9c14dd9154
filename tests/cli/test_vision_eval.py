"""`vla vision eval`, as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vision.encoder_cases import seen_episode
from tests.vision.labelled import write_labelled

from vla_data.video import write_mp4


@pytest.fixture
def episodes(tmp_path: Path) -> Path:
    return write_labelled(tmp_path / "blocks" / "1.0.0", [seen_episode(i, 24) for i in range(2)])


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """A MOT sequence: one thing that walks."""
    directory = tmp_path / "walk"
    rows = "".join(f"{i},1,{10 + i},10,12,14,1,-1,-1,-1\n" for i in range(1, 21))
    for name in ("gt", "det"):
        (directory / name).mkdir(parents=True)
        (directory / name / f"{name}.txt").write_text(rows)
    return directory


def test_labelled_episodes_are_measured(vla, episodes: Path, tmp_path: Path):
    command = ("vision", "eval", episodes, "--weights", "labels", "--out", tmp_path / "run")
    told = vla(*command, "--set", "min_pixels=4", "--look", "none")
    assert told.code == 0, told.err
    assert "HOTA" in told.out
    assert "front" in told.out
    again = vla(*command, "--set", "min_pixels=4", "--look", "none", "--json")
    assert again.document["skipped"]
    group = again.document["summary"]["groups"]["front"]
    assert group["videos"] == 2
    assert group["motion"]["velocity"] < group["motion"]["zero"]
    page = vla("report", tmp_path / "run")
    assert page.code == 0, page.err
    assert "five frames" in (tmp_path / "run" / "report.html").read_text()


def test_a_sequence_brings_its_truth_and_detections(vla, sequence: Path, tmp_path: Path):
    ran = vla("vision", "eval", sequence, "--look", "none", "--out", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    group = ran.document["summary"]["groups"]["video"]
    assert group["frames"] == 20
    assert group["tracks"]["idf1"] > 0.9
    few = vla("vision", "eval", sequence, "--frames", "7", "--out", tmp_path / "few", "--json")
    assert few.document["summary"]["groups"]["video"]["frames"] == 7


def test_a_video_with_truth_and_a_detector(vla, sequence: Path, tmp_path: Path):
    import numpy as np

    pictures = np.full((20, 64, 96, 3), 30, np.uint8)
    for i in range(20):
        pictures[i, 10:24, 11 + i : 23 + i] = (220, 60, 60)
    write_mp4(tmp_path / "walk.mp4", list(pictures), 10)
    ran = vla(
        "vision", "eval", tmp_path / "walk.mp4", "--truth", sequence / "gt" / "gt.txt", "--weights", "blobs",
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    group = ran.document["summary"]["groups"]["video"]
    assert group["boxes"]["truths"] == 20
    assert len(list((tmp_path / "run" / "pictures").glob("*.png"))) == 12


def test_a_video_without_truth(vla, tmp_path: Path):
    import numpy as np

    write_mp4(tmp_path / "walk.mp4", [np.zeros((64, 96, 3), np.uint8)] * 3, 10)
    ran = vla("vision", "eval", tmp_path / "walk.mp4", "--weights", "blobs", "--out", tmp_path / "run")
    assert ran.code != 0
    assert "does not say what is in it" in ran.err
    assert "--truth gt.txt" in ran.err


def test_episodes_without_labels(vla, tmp_path: Path):
    from dataclasses import replace

    bare = replace(seen_episode(), series={}, metadata={"task": "blocks"})
    directory = write_labelled(tmp_path / "bare" / "1.0.0", [bare])
    ran = vla("vision", "eval", directory, "--weights", "blobs", "--out", tmp_path / "run")
    assert ran.code != 0
    assert "without labels" in ran.err
    assert "--labels" in ran.err


def test_a_damaged_truth(vla, sequence: Path, tmp_path: Path):
    truth = sequence / "gt" / "gt.txt"
    truth.write_text(truth.read_text() + "nonsense\n")
    ran = vla("vision", "eval", sequence, "--out", tmp_path / "run")
    assert ran.code != 0
    assert "line 21" in ran.err
    assert vla("vision", "eval", sequence, "--out", tmp_path / "run", "--skip-corrupt").code == 0
