"""`vla vision track`, as a person calls it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import make_episode, write_dataset

from vla_data.types import ArrayImages
from vla_data.video import write_mp4
from vla_vision.tracking import read_mot


def walk(frames: int) -> list[np.ndarray]:
    """A bright square that walks over a dark picture."""
    pictures = []
    for t in range(frames):
        picture = np.full((96, 128, 3), 30, np.uint8)
        picture[30:70, 10 + 4 * t : 40 + 4 * t] = (220, 60, 60)
        pictures.append(picture)
    return pictures


@pytest.fixture
def video(tmp_path: Path) -> Path:
    write_mp4(tmp_path / "walk.mp4", walk(10), 10)
    return tmp_path / "walk.mp4"


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    path = tmp_path / "det.txt"
    path.write_text("".join(f"{t + 1},-1,{10 + 4 * t},30,30,40,0.9,-1,-1,-1\n" for t in range(10)))
    return path


def test_a_video_with_detections_made_elsewhere(vla, video: Path, detections: Path, tmp_path: Path):
    mot, clip = tmp_path / "out.txt", tmp_path / "out.mp4"
    ran = vla("vision", "track", video, "--detections", detections, "--mot", mot, "--video", clip, "--json")
    assert ran.code == 0, ran.err
    summary = ran.document
    assert (summary["frames"], summary["tracks"], summary["refused"]) == (10, 1, {})
    assert summary["files"] == {"mot": str(mot), "video": str(clip)}
    assert read_mot(mot).ids(10).tolist() == [1]
    assert clip.stat().st_size > 0


def test_detections_alone_and_lines_that_are_wrong(vla, detections: Path, tmp_path: Path):
    ran = vla("vision", "track", "--detections", detections, "--jsonl", tmp_path / "t.jsonl")
    assert ran.code == 0, ran.err
    assert "tracks" in ran.out
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 10
    detections.write_text(detections.read_text() + "broken\n")
    refused = vla("vision", "track", "--detections", detections)
    assert refused.code == 3
    assert "line 11" in refused.err
    assert "--skip-corrupt" in refused.err
    assert vla("vision", "track", "--detections", detections, "--skip-corrupt").code == 0
    drawn = vla(
        "vision", "track", "--detections", detections, "--skip-corrupt", "--video", tmp_path / "x.mp4"
    )
    assert drawn.code == 3
    assert "no picture to draw" in drawn.err
    assert not (tmp_path / "x.mp4").exists()


def test_a_directory_of_a_mot_sequence(vla, detections: Path, tmp_path: Path):
    sequence = tmp_path / "walk"
    (sequence / "det").mkdir(parents=True)
    detections.rename(sequence / "det" / "det.txt")
    text = "[Sequence]\nname=walk\nframeRate=10\nseqLength=12\nimWidth=128\nimHeight=96\n"
    (sequence / "seqinfo.ini").write_text(text)
    ran = vla("vision", "track", sequence, "--json", "--set", "coast=0")
    assert (ran.document["source"], ran.document["frames"], ran.document["boxes"]) == ("walk", 12, 10)


def test_an_episode_seen_by_a_detector(vla, tmp_path: Path):
    episode = make_episode(seed=0, steps=10)
    small = np.stack([picture[::4, ::4] for picture in walk(10)])
    images = {**episode.images, "front": ArrayImages(small)}
    directory = write_dataset(tmp_path / "made_up" / "1.0.0", [replace(episode, images=images)])
    seen = ("vision", "track", directory, "--weights", "blobs", "--camera")
    ran = vla(*seen, "front", "--jsonl", tmp_path / "t.jsonl", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["frames"] == 10
    last = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[-1])
    assert last["frame"] == 10
    assert vla(*seen, "front", "--episode", 9).code == 2
    unknown = vla(*seen, "back")
    assert unknown.code == 2
    assert "front, wrist" in unknown.err


def test_what_is_missing_is_named(vla, video: Path, tmp_path: Path):
    nothing = vla("vision", "track")
    assert nothing.code == 2
    assert "nothing to track" in nothing.err
    blind = vla("vision", "track", video)
    assert blind.code == 2
    assert "--detections" in blind.err
    assert "--weights" in blind.err
    unreadable = vla("vision", "track", tmp_path / "absent.mp4", "--weights", "blobs")
    assert unreadable.code == 3
    assert "cannot be read" in unreadable.err
    wrong = vla("vision", "track", video, "--look", "histogramm")
    assert wrong.code == 2
    assert "'histogram'" in wrong.err
    assert vla("vision", "track", video, "--set", "max_lots=3").code == 2
