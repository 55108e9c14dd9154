"""`vla vision perceive`, as a person calls it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.vision.labelled import FAR, HEIGHT, WIDTH, labelled_episode, write_labelled

from vla_data.video import write_mp4


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A bright square that walks over a dark picture, larger step by step."""
    pictures = []
    for t in range(12):
        picture = np.full((96, 128, 3), 30, np.uint8)
        picture[30:70, 10 + 4 * t : 40 + 4 * t] = (220, 60, 60)
        pictures.append(picture)
    write_mp4(tmp_path / "walk.mp4", pictures, 10)
    return tmp_path / "walk.mp4"


def test_a_video_is_perceived_and_every_stage_timed(vla, video: Path, tmp_path: Path):
    lines, clip = tmp_path / "seen.jsonl", tmp_path / "seen.mp4"
    command = ("vision", "perceive", video, "--weights", "motion", "--jsonl", lines, "--video", clip)
    ran = vla(*command, "--preset", "realtime", "--json")
    assert ran.code == 0, ran.err
    summary = ran.document
    assert (summary["frames"], summary["depth"], summary["placed_in"]) == (12, "none", "")
    assert {"read", "detect", "track", "flow", "depth", "velocity", "write", "frame"} <= summary[
        "stages"
    ].keys()
    assert summary["tracks"] >= 1
    assert len(lines.read_text().splitlines()) == 12
    assert clip.stat().st_size > 0
    told = vla(*command)
    assert told.code == 0, told.err
    assert "p99 ms" in told.out


def test_an_episode_brings_its_own_depth(vla, tmp_path: Path):
    episode = labelled_episode()
    depth = {"front": np.full((len(episode), HEIGHT, WIDTH), FAR, np.float32)}
    directory = write_labelled(tmp_path / "blocks" / "1.0.0", [replace(episode, depth=depth)])
    lines = tmp_path / "seen.jsonl"
    ran = vla(
        "vision", "perceive", directory, "--camera", "front", "--weights", "blobs", "--depth", "sensor",
        "--set", "tracker.high_score=0.2", "--set", "tracker.new_score=0.3", "--jsonl", lines, "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert (ran.document["depth"], ran.document["placed_in"]) == ("metric", "world")
    rows = [row for line in lines.read_text().splitlines() for row in json.loads(line)["tracks"]]
    assert rows
    assert all(abs(row["depth"] - FAR) < 0.01 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("absent.mp4", "--weights", "motion"), 3, "video cannot be read"),
        (("{video}", "--weights", "runs/none"), None, "vla vision train"),
        (("{video}", "--weights", "motion", "--depth", "no/such"), None, "no/such"),
        (("{video}", "--weights", "motion", "--set", "depth_every=0"), 2, "depth_every"),
        (("{video}", "--weights", "motion", "--preset", "realtim"), 2, "realtime"),
    ],
)
def test_what_cannot_be_perceived_says_why(vla, video: Path, arguments: tuple, code: int | None, said: str):
    ran = vla("vision", "perceive", *(str(a).format(video=video) for a in arguments))
    assert ran.code == code if code is not None else ran.code > 0
    assert said in ran.err


def test_a_file_that_is_no_video_leaves_nothing_behind(vla, tmp_path: Path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    out = tmp_path / "out.jsonl"
    ran = vla("vision", "perceive", tmp_path / "empty.mp4", "--weights", "motion", "--jsonl", out)
    assert ran.code == 3
    assert not out.exists()
