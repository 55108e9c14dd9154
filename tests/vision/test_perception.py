"""The integrated loop: what it says of moving things, late depth, what it leaves out, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
import pytest
from tests.vision.labelled import FAR, labelled_episode
from tests.vision.scenes import found, texture

from vla_data.errors import ConfigError, DataError
from vla_data.video import Mp4Writer
from vla_vision.perception import PRESETS, Models, PerceiveConfig, Perceiver, perceive_source
from vla_vision.perception.drawing import PerceptPainter, labels_of
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking import EpisodeFrames, Outputs, SourceFrame, TrackerConfig, VideoFile
from vla_vision.types import DepthMap, Detections, Frame

K = [[300.0, 0.0, 159.5], [0.0, 300.0, 119.5], [0.0, 0.0, 1.0]]
RATE = 20.0
STILL = replace(PRESETS["fixed-camera"](), smoothing=None, flow=None)


class Box:
    """A detector that sees one box move to the right by 2 pixels a frame."""

    class_names = ("mug",)

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, images: Sequence[Frame]) -> list[Detections]:
        self.seen += len(images)
        x = 100 + 2 * self.seen
        return [found([[x, 80, x + 40, 130]], names=self.class_names) for _ in images]


class Plane:
    """A depth model that says the same of every pixel; waits for leave where it is given."""

    def __init__(
        self, metres: float = 1.5, kind: Literal["metric", "relative"] = "metric", leave: Event | None = None
    ) -> None:
        self.metres, self.leave = metres, leave
        self.kind: Literal["metric", "relative"] = kind
        self.asked: list[float | None] = []

    def infer(self, images: Sequence[Frame], focal: float | None = None) -> list[DepthMap]:
        self.asked.append(focal)
        if self.leave is not None and len(self.asked) > 1:
            assert self.leave.wait(10)
        return [DepthMap(np.full(i.shape[:2], self.metres, np.float32), self.kind) for i in images]


def frames(count: int, height: int = 240, width: int = 320) -> list[SourceFrame]:
    picture = texture(0, height, width)
    return [SourceFrame(i + 1, i / RATE, picture) for i in range(count)]


def test_a_box_that_moves_evenly_has_its_speed_in_metres():
    """2 pixels a frame at 20 Hz, 1.5 m away with a focal length of 300: 0.2 m/s to the right."""
    perceiver = Perceiver(Models(Box(), Plane()), STILL, K)
    percepts = [perceiver.update(f) for f in frames(40)]
    last = percepts[-1]
    assert last.velocities is not None
    np.testing.assert_allclose(last.velocities.velocities[0], [0.2, 0, 0], atol=0.01)
    centre = (last.tracks.boxes[0, :2] + last.tracks.boxes[0, 2:]) / 2
    expected = 1.5 * np.array([(centre[0] - 160) / 300, (centre[1] - 120) / 300, 1])
    np.testing.assert_allclose(last.velocities.positions[0], expected, atol=0.01)
    assert last.velocities.frame == "camera"
    assert last.depths == pytest.approx([1.5])
    assert perceiver.models.depth.asked == [300.0] * 40  # type: ignore[union-attr]
    assert labels_of(last) == ["1 mug 1.50 m 0.20 m/s"]


def test_depth_of_an_earlier_frame_is_measured_where_things_were_then():
    """Depth that arrives late gives the position it would have given in time, not one that lags."""
    leave = Event()
    prompt = Perceiver(Models(Box(), Plane()), replace(STILL, depth_every=4), K)
    late = Perceiver(Models(Box(), Plane(leave=leave)), replace(STILL, depth_async=True, depth_every=4), K)
    ages, ways = [], []
    with late:
        for i, frame in enumerate(frames(60)):
            if i % 4 == 3 and late._looking is not None:
                leave.set()
                late._looking[1].result()
                leave.clear()
            one, other = prompt.update(frame), late.update(frame)
            ages.append(other.depth_age)
            if i > 40:
                assert one.velocities is not None
                assert other.velocities is not None
                ways.append(other.velocities.positions[0] - one.velocities.positions[0])
        leave.set()
    assert ages[0] == 0
    assert max(ages) >= 3
    assert np.abs(ways).max() < 0.002  # three frames late, and 3 cm on


def test_depth_of_a_network_is_believed_less_than_that_of_a_sensor():
    """The same depths, that jump once: a network's are not taken for a motion, a sensor's are."""
    config = replace(STILL, velocity=replace(STILL.velocity, depth_noise=0.01, network_noise=0.6))
    jumps = [np.full((240, 320), 1.5 if i < 10 else 1.8, np.float32) for i in range(14)]

    class Jumping:
        def infer(self, images: Sequence[Frame], focal: float | None = None) -> list[DepthMap]:
            self.count = getattr(self, "count", -1) + 1
            return [DepthMap(jumps[self.count], "metric") for _ in images]

    fastest = {}
    for name, model in (("sensor", None), ("network", Jumping())):
        with Perceiver(Models(Box(), model), config, K) as perceiver:
            seen = [perceiver.update(replace(f, depth=d)) for f, d in zip(frames(14), jumps, strict=True)]
        said = [p.velocities.velocities[0, 2] for p in seen if p.velocities is not None and len(p.velocities)]
        fastest[name] = max(map(abs, said))
    assert fastest["sensor"] > 0.5
    assert fastest["network"] < 0.1


def test_relative_depth_is_shown_and_moves_nothing():
    percept = Perceiver(Models(Box(), Plane(40.0, "relative")), STILL, K).update(frames(1)[0])
    assert percept.depth is not None
    assert percept.depths == pytest.approx([40.0])
    assert percept.velocities is None


def test_without_intrinsics_or_depth_there_is_less_and_no_error():
    blind = Perceiver(Models(Box()), STILL, K).update(frames(1)[0])
    assert (blind.depth, blind.depths, blind.velocities) == (None, None, None)
    unplaced = Perceiver(Models(Box(), Plane()), STILL).update(frames(1)[0])
    assert unplaced.depths == pytest.approx([1.5])
    assert unplaced.velocities is None


@pytest.mark.parametrize("hole", [0.0, np.nan, np.inf])
def test_depth_that_is_no_depth_measures_nothing(hole: float):
    perceiver = Perceiver(Models(Box(), Plane(hole)), STILL, K)
    percept = [perceiver.update(frame) for frame in frames(3)][-1]
    assert percept.depths is not None
    assert np.isnan(percept.depths).all()
    assert percept.velocities is not None
    assert len(percept.velocities) == 0


def test_an_episode_brings_its_camera_its_pose_and_its_depth(tmp_path: Path):
    episode = labelled_episode()
    depth = {"front": np.full((len(episode), 48, 64), FAR, np.float32)}
    source = EpisodeFrames(replace(episode, depth=depth), "front", depth=True)
    config = replace(STILL, tracker=TrackerConfig(confirm_hits=1))
    boxes = [found([[2 + i, 4 + i / 2, 14 + i, 14 + i / 2]]) for i in range(len(episode))]
    perceiver = Perceiver(Models(), config, source.intrinsics, (48, 64))
    given = [replace(frame, detections=seen) for frame, seen in zip(source, boxes, strict=True)]
    percept = [perceiver.update(frame) for frame in given][-1]
    true = episode.series["objects/position"][-1, 0], episode.series["objects/velocity"][-1, 0]
    assert percept.velocities is not None
    assert percept.velocities.frame == "world"
    np.testing.assert_allclose(percept.velocities.positions[0], true[0], atol=0.02)
    np.testing.assert_allclose(percept.velocities.velocities[0], true[1], atol=0.05)
    with pytest.raises(ConfigError, match="no depth of that camera"):
        EpisodeFrames(episode, "front", depth=True)


class Source:
    """Frames as a source."""

    name, frame_rate, live, size = "walk", RATE, False, (240, 320)

    def __init__(self, given: list[SourceFrame]) -> None:
        self.given, self.frames = given, len(given)

    def __iter__(self):
        return iter(self.given)


def test_one_pass_writes_what_is_known(tmp_path: Path):
    outputs = Outputs(
        tmp_path / "m.txt", tmp_path / "p.jsonl", tmp_path / "p.mp4", tmp_path / "p.rrd", Mp4Writer
    )
    perceiver = Perceiver(Models(Box(), Plane()), PRESETS["default"](), K)
    given = frames(8)
    given[3] = replace(given[3], image=np.zeros_like(given[3].image))
    summary = perceive_source(Source(given), perceiver, outputs)
    assert (summary.frames, summary.black_frames, summary.tracks, summary.depth) == (8, 1, 1, "metric")
    assert summary.stages["depth"]["calls"] == summary.stages["frame"]["calls"] == 8
    assert summary.rate > 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    row = lines[-1]["tracks"][0]
    assert {"depth", "position_m", "velocity_mps", "position_sd", "velocity_sd", "frame_of"} <= row.keys()
    assert lines[-1]["depth"] == {"kind": "metric", "age": 0}
    assert VideoFile(tmp_path / "p.mp4").size == (480, 1280)  # enlarged, and the depth beside it
    assert (tmp_path / "p.rrd").stat().st_size > 0


def test_pictures_keep_one_size_when_depth_comes_and_goes():
    perceiver = Perceiver(Models(Box(), Plane()), STILL, K)
    painter = PerceptPainter()
    percepts = [perceiver.update(f) for f in frames(3)]
    sizes = {painter.draw(p).shape for p in (*percepts, replace(percepts[-1], time=9.0, depth=None))}
    assert sizes == {(480, 1280, 3)}


def test_reset_forgets_the_video():
    perceiver = Perceiver(Models(Box(), Plane()), STILL, K)
    first = [perceiver.update(f).tracks.ids.tolist() for f in frames(5)]
    perceiver.reset()
    assert [perceiver.update(f).tracks.ids.tolist() for f in frames(5)] == first


def test_what_cannot_be_perceived_is_refused():
    perceiver = Perceiver(Models(Box(), Plane()), STILL, K)
    perceiver.update(frames(1)[0])
    with pytest.raises(DataError, match="size of frames changes"):
        perceiver.update(frames(2, 120, 160)[1])
    with pytest.raises(DataError, match="no picture to tell depth from"):
        Perceiver(Models(None, Plane()), STILL, K).update(SourceFrame(1, 0.0, None, found([[1, 1, 9, 9]])))
    with pytest.raises(ConfigError, match="nothing says where the objects are"):
        Perceiver(Models(), STILL).update(frames(1)[0])
    with pytest.raises(DataError, match="there is no frame"):
        perceive_source(Source([]), Perceiver(Models(Box())))
    with pytest.raises(ConfigError, match="out of range"):
        PerceiveConfig(depth_every=0)


def test_ten_thousand_detections_and_ones_outside_are_counted_not_fatal():
    rng = np.random.default_rng(0)
    corners = rng.uniform(-400, 700, (10_000, 2))
    many = found(np.concatenate([corners, corners + 12], axis=1))
    perceiver = Perceiver(Models(None, Plane()), STILL, K)
    percept = [perceiver.update(replace(frame, detections=many)) for frame in frames(2)][-1]
    assert len(percept.tracks) <= STILL.tracker.max_detections
    assert sum(perceiver.tracker.refused.counts().values()) > 5_000


def test_the_stopwatch_adds_up():
    watch = Stopwatch()
    for _ in range(3):
        watch.next_frame()
        watch.lap("a")
        watch.lap("b")
    watch.stop()
    table = watch.table()
    assert table["a"]["calls"] == table["frame"]["calls"] == 3
    assert watch.seconds["a"] + watch.seconds["b"] <= sum(watch.frames)
