"""Where frames come from and tracks go: files that are read, refused, and written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from tests.data.episodes import make_episode
from tests.vision.scenes import box, found, texture, tracked

from vla_data.errors import ConfigError, DataError
from vla_data.video import Mp4Writer, write_mp4
from vla_vision.tracking import (
    CameraFeed,
    EpisodeFrames,
    MotFrames,
    Outputs,
    Pipeline,
    Tracker,
    VideoFile,
    read_mot,
    read_sequence_info,
    track_source,
)
from vla_vision.tracking.drawing import TrackPainter, track_colour
from vla_vision.tracking.mot_file import mot_lines


class Scripted:
    """A source of made-up frames; `fail_at` breaks off like a file that is cut short."""

    live, name, frame_rate, size = False, "scripted", 10.0, (120, 160)

    def __init__(self, frames: int, fail_at: int = 0, error: BaseException | None = None) -> None:
        self.frames, self.fail_at = frames, fail_at
        self.error = error or DataError("cut short")

    def __iter__(self):
        from vla_vision.tracking import SourceFrame

        for i in range(1, self.frames + 1):
            if i == self.fail_at:
                raise self.error
            image = texture(0, 120, 160) if i > 1 else np.zeros((120, 160, 3), np.uint8)
            yield SourceFrame(i, (i - 1) / 10, image, found([box(40 + 3 * i, 60, 20, 30)]))


def everything(directory: Path) -> Outputs:
    mot, jsonl, video, recording = (directory / name for name in ("t.txt", "t.jsonl", "t.mp4", "t.rrd"))
    return Outputs(mot, jsonl, video, recording, Mp4Writer)


def test_one_pass_writes_every_kind_of_file(tmp_path: Path):
    seen: list[float] = []
    pipeline = Pipeline(Tracker(size=(120, 160)))
    summary = track_source(
        Scripted(12), pipeline, everything(tmp_path), on_progress=lambda p: seen.append(p.done)
    )
    assert (summary.frames, summary.black_frames, summary.tracks, summary.boxes) == (12, 1, 1, 12)
    assert seen == list(range(1, 13))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.jsonl", "t.mp4", "t.rrd", "t.txt"]
    rows = read_mot(tmp_path / "t.txt")
    assert (rows.frames, rows.ids(5).tolist()) == (12, [1])
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(1, 13))
    np.testing.assert_allclose(lines[4]["tracks"][0]["box"], rows.detections(5).boxes[0], atol=0.02)
    assert lines[4]["time"] == pytest.approx(0.4)
    video = VideoFile(tmp_path / "t.mp4")
    assert (video.frames, video.size, sum(1 for _ in video)) == (12, (120, 160), 12)


def test_the_recording_is_one_that_rerun_reads(tmp_path: Path):
    track_source(Scripted(3), Pipeline(Tracker()), Outputs(recording=tmp_path / "t.rrd"))
    command = [sys.executable, "-m", "rerun_cli", "rrd", "print", str(tmp_path / "t.rrd")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for entity in ("/video", "/video/tracks", "/tracks"):
        assert entity in printed


@pytest.mark.parametrize("error", [DataError("cut short"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_no_file(tmp_path: Path, error: BaseException):
    (tmp_path / "t.txt").write_text("old")
    with pytest.raises(type(error)):
        track_source(Scripted(12, 7, error), Pipeline(Tracker()), everything(tmp_path))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"t.txt": "old"}


def test_a_live_source_that_is_interrupted_keeps_its_files(tmp_path: Path):
    source = Scripted(12, 7, KeyboardInterrupt())
    source.live = True
    assert track_source(source, Pipeline(Tracker()), Outputs(mot=tmp_path / "t.txt")).frames == 6
    assert read_mot(tmp_path / "t.txt").frames == 6


def test_a_limit_ends_the_pass(tmp_path: Path):
    assert track_source(Scripted(12), Pipeline(Tracker()), limit=4).frames == 4


def test_without_detections_or_detector_it_says_what_to_give(tmp_path: Path):
    write_mp4(tmp_path / "v.mp4", [texture(0, 64, 64)] * 2, 10)
    with pytest.raises(ConfigError, match="where the objects are") as caught:
        track_source(VideoFile(tmp_path / "v.mp4"), Pipeline(Tracker()))
    assert "--detections" in str(caught.value)


def test_a_detector_and_an_embedder_are_asked_for_every_frame(tmp_path: Path):
    class Fixed:
        class_names = ("cup",)

        def detect(self, images):
            return [found([box(30, 30, 20, 20)], names=("cup",)) for _ in images]

    class Counting:
        calls = 0

        def embed(self, image, boxes):
            self.calls += 1
            return np.ones((len(boxes), 4), np.float32) / 2

    write_mp4(tmp_path / "v.mp4", [texture(i, 64, 64) for i in range(5)], 10)
    embedder = Counting()
    summary = track_source(
        VideoFile(tmp_path / "v.mp4"),
        Pipeline(Tracker(), Fixed(), embedder),
        Outputs(jsonl=tmp_path / "t.jsonl"),
    )
    assert (summary.tracks, embedder.calls) == (1, 5)
    assert json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])["tracks"][0]["class"] == "cup"


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 50])
def test_what_is_no_video_is_said(tmp_path: Path, content: bytes):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="video cannot be read") as caught:
        VideoFile(path)
    assert str(path) in str(caught.value)
    with pytest.raises(DataError, match="video cannot be read"):
        VideoFile(tmp_path / "absent.mp4")


def test_a_video_without_a_frame_is_said(tmp_path: Path):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        container.start_encoding()
    with pytest.raises(DataError, match="video cannot be read"):
        track_source(VideoFile(path), Pipeline(Tracker()))


def test_a_camera_gives_what_the_file_holds(tmp_path: Path):
    write_mp4(tmp_path / "v.mp4", [texture(i, 64, 96) for i in range(4)], 10)
    feed = CameraFeed(str(tmp_path / "v.mp4"))
    assert (feed.live, feed.size, feed.frame_rate) == (True, (64, 96), 10)
    images = [np.asarray(f.image, int) for f in feed]
    assert len(images) == 4
    expected = [np.asarray(f.image, int) for f in VideoFile(tmp_path / "v.mp4")]
    assert np.abs(images[2] - expected[2]).mean() < 3
    with pytest.raises(DataError, match="camera gives no picture"):
        CameraFeed(str(tmp_path / "absent.mp4"))


def test_an_episode_is_seen_by_one_of_its_cameras():
    episode = make_episode(steps=4)
    source = EpisodeFrames(episode, "front")
    frames = list(source)
    assert (source.frames, source.frame_rate, len(frames)) == (4, 10.0, 4)
    np.testing.assert_array_equal(frames[2].image, episode.images["front"][2])
    assert frames[2].time == pytest.approx(episode.time[2])
    for name in (None, "back"):
        with pytest.raises(ConfigError) as caught:
            EpisodeFrames(episode, name)
        assert "front, wrist" in str(caught.value)


LINES = "1,-1,10,20,30,40,0.9,-1,-1,-1\n3,-1,11,21,30,40,0.8\n1,-1,50,60,10,10,0.5,-1,-1,-1\n"


def test_detections_of_a_mot_file(tmp_path: Path):
    path = tmp_path / "det.txt"
    path.write_text(LINES)
    source = MotFrames(read_mot(path), name="x")
    frames = [f.detections for f in source]
    assert [len(d) for d in frames if d is not None] == [2, 0, 1]
    assert frames[0] is not None
    assert frames[0].boxes[0].tolist() == [10, 20, 40, 60]


@pytest.mark.parametrize(
    "line", ["1,2,3", "a,b,c,d,e,f,g", "0,-1,1,1,1,1,1", "1.5,-1,1,1,1,1,1", "nan,-1,1,1,1,1,1"]
)
def test_lines_that_are_wrong_are_named_or_counted(tmp_path: Path, line: str):
    path = tmp_path / "det.txt"
    path.write_text(LINES + line + "\n")
    with pytest.raises(DataError, match="line of a MOT file") as caught:
        read_mot(path)
    assert "line 4" in str(caught.value)
    rows = read_mot(path, skip_corrupt=True)
    assert (len(rows.rows), rows.skipped) == (3, 1)


def test_files_that_are_no_mot_files(tmp_path: Path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name in ("binary", "absent"):
        with pytest.raises(DataError, match="MOT file cannot be read"):
            read_mot(tmp_path / name)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="holds no detection"):
        MotFrames(read_mot(tmp_path / "empty"))


def test_sequence_info(tmp_path: Path):
    path = tmp_path / "seqinfo.ini"
    path.write_text("[Sequence]\nname=A\nframeRate=25\nseqLength=71\nimWidth=640\nimHeight=480\n")
    info = read_sequence_info(path)
    assert (info.name, info.frame_rate, info.frames, info.width, info.height) == ("A", 25, 71, 640, 480)
    for text in ("[Other]\n", "[Sequence]\nimWidth=wide\n", "no ini"):
        path.write_text(text)
        with pytest.raises(DataError, match="seqinfo"):
            read_sequence_info(path)


def test_lines_of_tracks_read_back(tmp_path: Path):
    tracks = tracked([[10.25, 20.5, 40, 60], [1, 2, 3, 4]], ids=[7, 9])
    (tmp_path / "t.txt").write_text(mot_lines(4, tracks))
    rows = read_mot(tmp_path / "t.txt")
    assert rows.ids(4).tolist() == [7, 9]
    np.testing.assert_allclose(rows.detections(4).boxes, tracks.boxes, atol=0.01)


def test_what_is_drawn():
    image = np.zeros((120, 160, 3), np.uint8)
    painter = TrackPainter()
    drawn = painter.draw(image, tracked([[40, 40, 80, 100]], ids=[3]))
    assert not image.any()
    assert drawn[70, 40].tolist() == list(track_colour(3))
    assert len({track_colour(i) for i in range(1, 20)}) == 19
    for _ in range(40):
        drawn = painter.draw(image, tracked(np.zeros((0, 4))))
    assert not drawn.any()
