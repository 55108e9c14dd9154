"""One episode to look at: the recording can be read back and holds everything; the sheet shows its frames."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import make_episode, write_dataset

from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.explore import view_episode
from vla_data.explore.contact_sheet import FRAME, draw_sheet
from vla_data.explore.rerun_file import plots, write_recording
from vla_data.images import EncodedImages, decode, encode
from vla_data.types import ArrayImages


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("made_up"), [make_episode(i, 6) for i in range(3)])


def printed(recording: Path, *options: str) -> str:
    command = [sys.executable, "-m", "rerun_cli", "rrd", "print", *options, str(recording)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_recording_holds_cameras_depth_series_words_and_substeps(dataset: Path, tmp_path: Path):
    path = tmp_path / "episode.rrd"
    done = view_episode(dataset, 2, recording=path)
    assert done["files"] == [str(path)]
    assert (done["id"], done["steps"]) == ("episode-2", 6)
    assert [p.name for p in tmp_path.iterdir()] == ["episode.rrd"]
    text = printed(path)
    for entity in (
        "/camera/front", "/camera/wrist", "/depth/front", "/action/gripper", "/action/x", "/state/s4",
        "/series/reward", "/series/phase", "/instruction", "/substeps/log", "/substeps/state",
    ):  # fmt: skip
        assert entity in text, entity
    assert "is_first" not in text
    verify = [sys.executable, "-m", "rerun_cli", "rrd", "verify", str(path)]
    assert subprocess.run(verify, capture_output=True, timeout=120).returncode == 0


def test_numbers_of_different_kinds_have_plots_of_their_own():
    found = plots(make_episode(0, 6))
    assert {title: list(lines) for title, lines in found.items()} == {
        "action: position": ["action/x", "action/y", "action/z"],
        "action: gripper": ["action/gripper"],
        "state [rad]": [f"state/s{i}" for i in range(5)],
    }
    assert found["action: position"]["action/x"][0] == "x [m]"


def test_stored_frames_go_into_the_recording_as_they_are(tmp_path: Path):
    rng = np.random.default_rng(0)
    data = [encode(rng.integers(0, 256, (24, 32, 3), np.uint8), "png") for _ in range(5)]
    episode = make_episode(0, 5, images={"front": EncodedImages(data)}, depth={}, series={})
    path = tmp_path / "episode.rrd"
    write_recording(episode, path)
    written = path.read_bytes()
    # Noise does not compress, so that the file's own compression leaves the middle of each frame whole.
    assert all(frame[200:-200] in written for frame in data)


def test_a_damaged_frame_leaves_no_recording(tmp_path: Path):
    frames = EncodedImages([encode(np.zeros((24, 32, 3), np.uint8), "png"), b"\x89PNG nonsense"])
    with pytest.raises(DataError, match="png image"):
        write_recording(make_episode(0, 2, images={"front": frames}), tmp_path / "episode.rrd")
    assert list(tmp_path.iterdir()) == []


def test_without_rerun_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingDependencyError, match="rerun-sdk") as caught:
        write_recording(make_episode(0, 2), tmp_path / "episode.rrd")
    assert "vla-data[explore]" in str(caught.value)


def test_a_sheet_shows_the_frames_in_order(tmp_path: Path, dataset: Path):
    steps = np.arange(10, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(steps * 20 + 20, (10, 8, 8, 3)).copy()
    episode = make_episode(1, 10, images={"front": ArrayImages(frames)}, depth={})
    sheet = draw_sheet(episode, columns=4)
    row = sheet[-FRAME // 2]  # through the middle of the only row of pictures
    seen = [int(v) for v in row[:, 0] if v % 20 == 0 and v > 0]
    assert list(dict.fromkeys(seen)) == [20, 80, 140, 200]
    view_episode(dataset, 0, sheet=tmp_path / "sheet.png", columns=3)
    assert decode((tmp_path / "sheet.png").read_bytes()).shape[0] > 3 * FRAME  # two cameras and one depth


def test_depth_is_shown_near_bright_and_unknown_dark():
    depth = np.full((2, 8, 8), 4.0, np.float32)
    depth[:, :4], depth[:, 4:, 4:] = 1.0, np.nan
    episode = make_episode(0, 2, images={}, depth={"front": depth})
    sheet = draw_sheet(episode)
    picture = sheet[-FRAME - 6 : -6, -FRAME - 6 : -6]
    corners = [picture[10, 10, 0], picture[-10, 10, 0], picture[-10, -10, 0]]
    assert corners[0] == 255
    assert corners[1] == corners[2] == 0


def test_a_short_or_wordy_episode_still_fits():
    short = make_episode(2, 1, instruction="word " * 200)
    assert draw_sheet(short, columns=8, title="t" * 500).ndim == 3
    with pytest.raises(DataError, match="nothing of an episode"):
        draw_sheet(replace(make_episode(0, 0), images={}, depth={}))


@pytest.mark.parametrize("number", [3, -1])
def test_there_is_no_such_episode(dataset: Path, number: int, tmp_path: Path):
    with pytest.raises(ConfigError, match="no such episode") as caught:
        view_episode(dataset, number, sheet=tmp_path / "sheet.png")
    assert "0 to 2" in str(caught.value)


def test_a_real_episode(shared: Path, tmp_path: Path):
    done = view_episode(shared / "data/rlds", 3, recording=tmp_path / "e.rrd", sheet=tmp_path / "e.png")
    assert done["instruction"] == "turn lever vertical to front"
    assert (tmp_path / "e.rrd").stat().st_size < 400_000
    assert decode((tmp_path / "e.png").read_bytes()).shape[0] > 4 * FRAME
