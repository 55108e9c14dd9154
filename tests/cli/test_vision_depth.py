"""`vla vision depth | train-depth | export-depth` as a person would type it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.vision.depth_scenes import look, room_episode

from vla_cli.main import main
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.video import write_mp4
from vla_vision.depth import read_depth

CAMERAS = {"front": 1.2, "middle": 1.0}
QUICK = ("--preset", "debug", "--set", "fit.steps=4", "--json")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three episodes with depth from two cameras."""
    directory = tmp_path_factory.mktemp("data") / "rooms" / "1.0.0"
    episodes = [room_episode(i, 6, cameras=CAMERAS) for i in range(3)]
    with RldsWriter(directory, "rooms", episodes[0].robot, dict(episodes[0].cameras)) as writer:
        for episode in episodes:
            writer.write(episode)
    finish_dataset(directory, description="Made up.")
    return directory


@pytest.fixture(scope="module")
def run(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "depth"
    words = ("vision", "train-depth", "--data", str(rooms), "--unseen", "middle", "--out", str(out))
    assert main([*words, *QUICK]) == 0
    return out


def test_training_again_is_up_to_date_and_its_table_is_printed(vla, rooms, run):
    again = vla("vision", "train-depth", "--data", rooms, "--unseen", "middle", "--out", run, *QUICK)
    assert again.document["skipped"] is True
    summary = again.document["summary"]
    assert summary["unseen_camera"] == "middle"
    assert set(summary["cameras"]) == {"front", "middle"}
    assert {"delta1", "pixel mean delta1", "constant delta1"} <= set(summary["cameras"]["middle"]["all"])
    shown = vla("vision", "train-depth", "--data", rooms, "--unseen", "middle", "--out", run, *QUICK[:-1])
    assert "middle (unseen)" in shown.out
    assert "pixel mean" in shown.out
    wrong = vla("vision", "train-depth", "--data", rooms, "--unseen", "midle", "--out", run / "x", *QUICK)
    assert wrong.code == 2
    assert "middle" in wrong.document["error"]["next"]


def test_depth_of_a_video_an_episode_and_pictures(vla, rooms, run, tmp_path):
    video = tmp_path / "walk.mp4"
    write_mp4(video, [look((-0.4 + 0.1 * i, 0.15, 1.5))[0] for i in range(5)], 10)
    ran = vla("vision", "depth", video, "--weights", run, "--out", tmp_path / "a", "--json")
    assert ran.code == 0, ran.err
    found = ran.document
    assert (found["kind"], found["unit"], found["frames"]) == ("metric", "m, larger is farther", 5)
    assert found["focal_length"].startswith("not known")
    assert json.loads((tmp_path / "a" / "depth.json").read_text())["frames"] == 5
    assert (tmp_path / "a" / "depth.mp4").is_file()
    assert read_depth(tmp_path / "a" / "000005.png").shape == (32, 32)

    options = ("--episode", "1", "--camera", "front", "--frames", "2", "--no-video", "--format", "npz")
    ran = vla("vision", "depth", rooms, "--weights", run, "--out", tmp_path / "b", *options)
    assert ran.code == 0, ran.err
    assert "larger is farther" in ran.out
    assert "given" in ran.out  # the episode knows its focal length
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["000001.npz", "000002.npz", "depth.json"]

    ran = vla(
        "vision", "depth", tmp_path / "a" / "000001.png", "--weights", run, "--out", tmp_path / "c", "--json"
    )
    assert ran.document["frames"] == 1


def test_known_depth_gives_metres(vla, rooms, run, tmp_path):
    np.savez(tmp_path / "known.npz", depth=room_episode(0, 6, cameras=CAMERAS).depth["front"][0])
    options = ("--camera", "front", "--known", tmp_path / "known.npz", "--json")
    ran = vla("vision", "depth", rooms, "--weights", run, "--out", tmp_path / "d", *options)
    assert ran.code == 0, ran.err
    assert ran.document["calibration_error"] >= 0


def test_black_frames_are_counted(vla, run, tmp_path):
    frames = [look((0.0, 0.15, 1.5))[0]] * 2 + [np.zeros((32, 32, 3), np.uint8)] * 3
    write_mp4(tmp_path / "dark.mp4", frames, 10)
    ran = vla("vision", "depth", tmp_path / "dark.mp4", "--weights", run, "--out", tmp_path / "e", "--json")
    assert ran.document["frames_that_show_nothing"] == 3
    assert "3 frames of one colour" in ran.err


def test_what_is_missing_or_damaged_is_said(vla, rooms, run, tmp_path):
    nowhere = "depth-anything/Depth-Anything-V2-Small-hf"
    ran = vla("vision", "depth", rooms, "--weights", nowhere, "--out", tmp_path / "f", "--json")
    assert ran.code == 4
    assert "--download" in ran.document["error"]["next"]
    assert "train-depth" in ran.document["error"]["next"]
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("cut.mp4", "empty.mp4", "absent.mp4"):
        ran = vla("vision", "depth", tmp_path / name, "--weights", run, "--out", tmp_path / "g", "--json")
        assert ran.code == 3, name
        assert name in ran.document["error"]["where"]
    ran = vla("vision", "depth", rooms, "--episode", "9", "--weights", run, "--out", tmp_path / "g", "--json")
    assert ran.code == 2
    ran = vla(
        "vision", "export-depth", "--weights", run, "--shape", "32", "--out", tmp_path / "d.onnx", "--json"
    )
    assert ran.code == 2
    ran = vla(
        "vision", "export-depth", "--weights", run, "--shape", "9x9", "--out", tmp_path / "d.pt", "--json"
    )
    assert ran.code == 2


def test_an_exported_network_takes_the_place_of_its_weights(vla, rooms, run, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is an extra of vla-vision")
    file = tmp_path / "depth.onnx"
    ran = vla("vision", "export-depth", "--weights", run, "--shape", "32x32", "--out", file, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["says"] == "metric: m, larger is farther"
    outs = []
    for weights in (run, file):
        options = ("--camera", "front", "--frames", "2", "--no-smooth", "--no-video", "--json")
        out = tmp_path / f"out-{len(outs)}"
        assert vla("vision", "depth", rooms, "--weights", weights, "--out", out, *options).code == 0
        outs.append(read_depth(out / "000002.png"))
    np.testing.assert_allclose(outs[0], outs[1], atol=0.002)
