"""`vla vision train`, `export` and `detect`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.vision.detection_cases import NAMES, picture, write_yolo
from tests.vision.labelled import labelled_episode, write_labelled

DEBUG = ("--preset", "debug", "--epochs", 1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    where = tmp_path / "pictures"
    where.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(where / f"{i}.png"), picture(rng)[0][..., ::-1])
    cv2.imwrite(str(where / "3.png"), np.zeros((40, 60, 3), np.uint8))
    return where


def test_train_export_and_detect(vla, pictures: Path, tmp_path: Path):
    data, out = write_yolo(tmp_path / "labelled"), tmp_path / "run"
    ran = vla("vision", "train", "--data", data, "--out", out, *DEBUG, "--json")
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert (summary["train_images"], summary["val_images"], summary["classes"]) == (12, 4, 3)
    assert 0 <= summary["map50_95"] <= summary["map50"] <= 1
    assert vla("vision", "train", "--data", data, "--out", out, *DEBUG, "--json").document["skipped"] is True
    page = vla("report", out, "--out", tmp_path / "page.html")
    assert page.code == 0
    assert NAMES[1] in (tmp_path / "page.html").read_text()
    pytest.importorskip("onnxruntime")
    onnx = vla("vision", "export", out, "--to", "onnx", "--out", tmp_path / "onnx", "--json")
    assert onnx.code == 0, onnx.err
    assert onnx.document["classes"] == 3
    low = ("--score", 0.001, "--json")
    rows = [
        vla("vision", "detect", pictures, "--weights", w, *low).document for w in (out, tmp_path / "onnx")
    ]
    assert [r["frames"] for r in rows] == [4, 4]
    assert rows[0]["detections"] == rows[1]["detections"] > 0
    assert {d["class"] for frame in rows[0]["found"] for d in frame["detections"]} <= set(NAMES)


def test_training_reads_episodes_with_labels(vla, tmp_path: Path):
    data = write_labelled(tmp_path / "blocks" / "1.0.0", [labelled_episode(i) for i in range(2)])
    arguments = ("vision", "train", "--data", data, "--out", tmp_path / "run", *DEBUG, "--every", 6, "--json")
    ran = vla(*arguments, "--set", "fit.batch_size=2")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["train_images"] == 4
    assert (tmp_path / "run" / "yolo" / "labels.json").is_file()


def test_detecting_without_weights(vla, pictures: Path, tmp_path: Path):
    lines, drawn = tmp_path / "found.jsonl", tmp_path / "drawn"
    plain = ("vision", "detect", pictures, "--weights", "blobs", "--score", 0.1)
    ran = vla(*plain, "--out", lines, "--pictures", drawn, "--frames", 2)
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["frame"] for row in rows] == [1, 2]
    assert all(d["class"] == "thing" for row in rows for d in row["detections"])
    assert sorted(p.name for p in drawn.iterdir()) == ["000001.png", "000002.png"]
    shown = vla(*plain)
    assert [json.loads(line) for line in shown.out.splitlines()][:2] == rows
    assert "4 frames" in shown.err


def test_a_video_with_boxes(vla, tmp_path: Path):
    from vla_data.video import write_mp4

    rng = np.random.default_rng(1)
    write_mp4(tmp_path / "in.mp4", [picture(rng)[0] for _ in range(5)], 10.0)
    out = tmp_path / "out.mp4"
    ran = vla("vision", "detect", tmp_path / "in.mp4", "--weights", "blobs", "--video", out, "--json")
    assert ran.code == 0, ran.err
    with av.open(str(out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train", "--data", "nowhere", "--out", "x"), 3, "not a data set in the YOLO layout"),
        (("train", "--data", "nowhere", "--out", "x", "--preset", "defalt"), 2, "did you mean 'default'"),
        (("train", "--data", "nowhere", "--out", "x", "--imgsz", "100"), 2, "multiple of 32"),
        (("export", "nowhere", "--to", "onnx", "--out", "x"), 3, "manifest.json"),
        (("detect", "{pictures}", "--weights", "yolo.pt"), 3, "vla vision train"),
        (("detect", "{pictures}", "--weights", "some/model", "--prompts", "mug"), 3, "--allow-download"),
        (("detect", "nowhere.mp4", "--weights", "blobs"), 3, "video cannot be read"),
    ],
)
def test_what_is_wrong_is_said(vla, pictures, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    ran = vla("vision", *(a.format(pictures=pictures) for a in arguments))
    assert ran.code == code, ran.err
    assert said in ran.err
    assert not (tmp_path / "x").exists() or not list((tmp_path / "x").iterdir())
