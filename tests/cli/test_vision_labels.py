"""`vla vision labels`, as a person calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest
from tests.vision.labelled import labelled_episode, write_labelled


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_labelled(tmp_path / "blocks" / "1.0.0", [labelled_episode(i) for i in range(3)])


def test_a_yolo_data_set_with_a_preview(vla, data: Path, tmp_path: Path):
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    arguments = ("vision", "labels", data, "--out", out, "--every", 6, "--classes", "mug,gripper")
    ran = vla(*arguments, "--preview", grid, "--json")
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert summary["images"] == {"train": 8, "val": 4}
    assert summary["classes"] == {"gripper": 12, "mug": 12}
    assert (out / "yolo" / "data.yaml").read_text().endswith('names:\n  0: "mug"\n  1: "gripper"\n')
    assert grid.read_bytes().startswith(b"\x89PNG")
    assert vla(*arguments, "--preview", grid, "--json").document["skipped"] is True
    changed = vla(*arguments, "--every", 3, "--preview", grid)
    assert changed.code == 3
    assert "another configuration" in changed.err
    page = vla("report", out, "--out", tmp_path / "page.html")
    assert page.code == 0
    assert "gripper" in (tmp_path / "page.html").read_text()


def test_mot_sequences_as_videos(vla, data: Path, tmp_path: Path):
    out = tmp_path / "out"
    ran = vla("vision", "labels", data, "--out", out, "--format", "mot", "--video")
    assert ran.code == 0, ran.err
    assert "sequences  3" in ran.out
    with av.open(str(out / "mot" / "00002-front" / "00002-front.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 24


def test_outlines_from_a_file_of_settings(vla, data: Path, tmp_path: Path):
    settings = tmp_path / "labels.toml"
    settings.write_text('outlines = true\nimage_encoding = "png"\n')
    ran = vla("vision", "labels", data, "--out", tmp_path / "out", "--config", settings, "--set", "every=12")
    assert ran.code == 0, ran.err
    lines = next((tmp_path / "out" / "yolo" / "labels" / "val").iterdir()).read_text().splitlines()
    assert all(len(line.split()) >= 9 for line in lines)


def test_episodes_without_labels_are_refused_or_counted(vla, tmp_path: Path):
    episodes = [labelled_episode(i) for i in range(3)]
    mixed = [*episodes, replace(labelled_episode(9), metadata={"task": "blocks"})]
    data = write_labelled(tmp_path / "mixed" / "1.0.0", mixed)
    refused = vla("vision", "labels", data, "--out", tmp_path / "out")
    assert refused.code == 3
    assert "without labels" in refused.err
    assert "--labels" in refused.err
    assert "--teacher" in refused.err
    ran = vla("vision", "labels", data, "--out", tmp_path / "out", "--skip-corrupt", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["skipped"] == 1


def test_a_teacher_labels_what_has_no_labels(vla, tmp_path: Path):
    plain = [replace(labelled_episode(i), metadata={"task": "blocks"}, series={}) for i in range(2)]
    data = write_labelled(tmp_path / "plain" / "1.0.0", plain)
    ran = vla("vision", "labels", data, "--out", tmp_path / "out", "--teacher", "blobs", "--json")
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert summary["labels"] == "pseudo"
    assert summary["frames"] == 48
    assert summary["objects"] > 48
    missing = vla("vision", "labels", data, "--out", tmp_path / "b", "--teacher", tmp_path / "none")
    assert missing.code != 0
    assert "vla vision train" in missing.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--format", "coco"], 2, "yolo"),
        (["--classes", "gripperr"], 2, "did you mean 'gripper'"),
        (["--cameras", "back"], 3, "front"),
        (["--format", "mot", "--outlines"], 2, "outlines need masks"),
        (["--video"], 2, "videos are for sequences"),
        (["--every", "0"], 2, "--every"),
    ],
)
def test_mistakes_are_answered(vla, data: Path, tmp_path: Path, arguments: list[str], code: int, said: str):
    ran = vla("vision", "labels", data, "--out", tmp_path / "out", *arguments)
    assert ran.code == code
    assert said in ran.err
    assert not (tmp_path / "out" / "yolo").exists()
