"""How right perception is: counted by hand, and against what made-up episodes know."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.vision.encoder_cases import CLASSES, blocks, percept, tracks
from tests.vision.labelled import FAR, INTRINSICS

from vla_data.config import merge
from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.report import load_sections, save_sections, write_page
from vla_data.video import Mp4Writer
from vla_vision.evaluation import (
    EvaluateConfig,
    Identified,
    MotionJudge,
    evaluate,
    evaluate_episodes,
    labelled_videos,
    mot_video,
    score_tracking,
)
from vla_vision.evaluation.album import Shown
from vla_vision.evaluation.config import PRESETS
from vla_vision.evaluation.depth_scores import score_depths
from vla_vision.evaluation.scoring import Hearing
from vla_vision.evenly import Evenly
from vla_vision.labels.truth import FrameLabels, Motion
from vla_vision.perception import Sight, SightConfig
from vla_vision.tracking import MotFrames, read_mot
from vla_vision.types import DepthMap, Detections, Frame
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.filter import Velocities

HZ = 10.0
LABELS = SightConfig("labels", look="none")


def at(x: float, ident: int = 1) -> Identified:
    """One box of 10×10 pixels."""
    return Identified(np.array([ident]), np.array([[x, 0, x + 10, 10]], np.float32))


NOBODY = Identified(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


# Tracks


def test_what_is_kept_throughout_is_perfect():
    truth = [at(i) for i in range(8)]
    scores = score_tracking([(truth, [at(i, 7) for i in range(8)])])
    assert scores is not None
    assert (scores.mota, scores.idf1, scores.switches) == (1, 1, 0)
    assert scores.hota == pytest.approx(1)
    assert (scores.truths, scores.identities) == (8, 1)


def test_an_identity_that_changes_halfway():
    """By hand: one switch in ten boxes; half of them under the better identity; HOTA √(1 × ½)."""
    truth = [at(i) for i in range(10)]
    scores = score_tracking([(truth, [at(i, 1 + i // 5) for i in range(10)])])
    assert scores is not None
    assert scores.mota == pytest.approx(1 - 1 / 10)
    assert scores.idf1 == pytest.approx(2 * 5 / (10 + 10))
    assert scores.hota == pytest.approx(np.sqrt(0.5))
    assert scores.switches == 1


def test_misses_and_false_boxes():
    truth = [at(i) for i in range(10)]
    output = [at(i) if i < 6 else at(i + 100) if i < 8 else NOBODY for i in range(10)]
    scores = score_tracking([(truth, output)])
    assert scores is not None
    assert scores.mota == pytest.approx(1 - (4 + 2) / 10)


def test_identities_of_two_videos_have_nothing_in_common():
    """The same number in both is two objects, not one."""
    video = ([at(i) for i in range(5)], [at(i, 3) for i in range(5)])
    scores = score_tracking([video, video])
    assert scores is not None
    assert (scores.identities, scores.idf1) == (2, 1)
    assert scores.hota == pytest.approx(1)


def test_nothing_to_track():
    assert score_tracking([([NOBODY], [at(0)])]) is None
    with pytest.raises(DataError, match="different frames"):
        score_tracking([([NOBODY], [])])


def test_scores_of_tracks_need_trackeval(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    with pytest.raises(MissingDependencyError, match="trackeval") as error:
        score_tracking([([NOBODY], [NOBODY])])
    assert "vla-vision[eval]" in str(error.value.next_step)


# Motion


def moving(index: int, speed: np.ndarray, said: np.ndarray) -> tuple[object, FrameLabels]:
    """A box that moves as a point at `FAR` metres with `speed` m/s does, and a filter that says `said`."""
    time = (index - 1) / HZ
    place = np.array([0.0, 0.0, FAR]) + speed * time
    pixel = (np.array(INTRINSICS) @ place)[:2] / place[2] + 0.5
    box = np.concatenate([pixel - 5, pixel + 5])[None].astype(np.float32)
    found = tracks([1], box)
    velocity = Velocities(np.array([1]), place[None], said[None], np.eye(6)[None], np.array([True]), "camera")
    seen = percept(index, found, HZ, depths=np.array([place[2]]), velocities=velocity)
    rows = (place[None].astype(np.float32), speed[None].astype(np.float32))
    labels = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), CLASSES)
    return seen, FrameLabels(index - 1, np.array([1]), labels, Motion(*rows, *rows))


@pytest.mark.parametrize("depth_speed", [0.0, 0.3])
def test_errors_of_velocity_by_hand(depth_speed: float):
    """A difference over five frames of an even motion is exact; the filter is off by what it is off by."""
    speed = np.array([0.1, 0.0, depth_speed])
    judge = MotionJudge(VelocityConfig())
    judge.start(INTRINSICS)
    for index in range(1, 13):
        judge.add(*moving(index, speed, speed + np.array([0.03, 0, 0])))  # type: ignore[arg-type]
    scores = judge.scores()
    assert scores is not None
    assert scores.velocity == pytest.approx(0.03)
    assert scores.radial**2 + scores.lateral**2 == pytest.approx(0.03**2, rel=0.05)
    assert scores.difference == pytest.approx(0, abs=1e-4)
    assert scores.zero == pytest.approx(np.linalg.norm(speed))
    assert scores.position == pytest.approx(0, abs=1e-6)
    assert (scores.scored, scores.moving) == (12 - 5, 12)


def test_what_stands_still_is_not_scored():
    judge = MotionJudge(VelocityConfig())
    judge.start(INTRINSICS)
    for index in range(1, 13):
        judge.add(*moving(index, np.array([0.04, 0, 0]), np.zeros(3)))  # type: ignore[arg-type]
    assert judge.scores() is None


def test_a_video_starts_anew():
    """A difference never reaches from one video into another."""
    judge = MotionJudge(VelocityConfig())
    for _ in range(3):
        judge.start(INTRINSICS)
        for index in range(1, 6):
            judge.add(*moving(index, np.array([0.2, 0, 0]), np.zeros(3)))  # type: ignore[arg-type]
    assert judge.scores() is None


# Depth


def test_depth_beside_what_knows_the_frames():
    true = np.full((2, 4, 6), 2.0, np.float32)
    true[1] = 4.0
    said = true * 1.1
    nowhere = np.zeros((4, 6), bool)
    scores = score_depths([(said[i], true[i], nowhere) for i in range(2)])
    assert scores is not None
    assert scores.frames == 2
    assert scores.all["network"].abs_rel == pytest.approx(0.1)
    assert scores.all["pixel mean"].abs_rel == pytest.approx((0.5 + 0.25) / 2)
    assert scores.all["constant"].abs_rel == pytest.approx((np.sqrt(2) - 1 + 1 - np.sqrt(0.5)) / 2, rel=1e-4)
    assert scores.moving == {}
    assert score_depths([]) is None
    assert score_depths([(said[0], np.zeros((4, 6), np.float32), nowhere)]) is None


# The pass


class Boxes:
    """A detector that always says one sure and one unsure thing."""

    class_names = CLASSES

    def detect(self, images: Sequence[Frame]) -> list[Detections]:
        boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
        return [
            Detections(boxes, np.array([0.9, 0.1], np.float32), np.array([0, 1]), CLASSES) for _ in images
        ]


def test_what_is_tracked_is_sure_and_what_is_scored_is_everything():
    hearing = Hearing(Boxes(), 0.25)
    assert [len(d) for d in hearing.detect([np.zeros((8, 8, 3), np.uint8)])] == [1]
    assert [len(d) for d in hearing.said] == [2]


def test_pictures_are_spread_over_all_frames():
    album: Evenly[Shown] = Evenly(4)
    for index in range(1, 101):
        album.add(_shown(index))
    kept = [s.percept.index for s in album.picked()]
    assert len(kept) == 4
    assert kept[0] == 1
    assert kept[-1] > 75
    assert Evenly[Shown](0).picked() == []


def _shown(index: int) -> Shown:
    nobody = Detections.empty(CLASSES)
    return Shown(str(index), percept(index, tracks([1])), FrameLabels(index, np.zeros(0, np.int64), nobody))


def test_true_boxes_are_tracked_and_measured(tmp_path: Path):
    source = blocks(2, 24)
    config = EvaluateConfig(LABELS, min_pixels=4)
    summary, sections = evaluate_episodes(source, config, tmp_path, open_video=Mp4Writer)
    group = summary["groups"]["front"]
    assert (group["videos"], group["frames"]) == (2, 48)
    assert summary["stages"]["frame"]["calls"] == 48
    assert group["boxes"] is None  # the labels themselves
    assert group["tracks"]["hota"] > 0.8
    assert group["tracks"]["switches"] == 0
    assert group["motion"]["velocity"] < 0.5 * group["motion"]["zero"]
    assert group["motion"]["position"] < 0.05
    assert group["depth"] is None  # it is the sensor's
    assert json.dumps(summary)
    titles = [section.title for section in sections]
    assert titles == ["Perception", "Tracking", "Motion", "Rate", "Frames"]
    save_sections(tmp_path, sections)
    write_page(tmp_path / "page.html", "page", load_sections(tmp_path))
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 12
    assert (tmp_path / "film.mp4").stat().st_size > 0


class Flat:
    """A depth network that says the same everywhere."""

    kind = "metric"

    def infer(self, images: Sequence[Frame], focal: float | None = None) -> list[DepthMap]:
        return [DepthMap(np.full(i.shape[:2], 1.2 * FAR, np.float32), "metric") for i in images]


def test_a_network_is_measured_by_the_depth_that_it_is_not_given():
    source, config = blocks(1), EvaluateConfig(LABELS, depth_every=4, min_pixels=4)
    sight = Sight(config.sight, CLASSES)
    sight.models = replace(sight.models, depth=Flat())
    found = evaluate(labelled_videos(source, sight, config), sight, config)
    depth = found.groups["front"].depth
    assert depth is not None
    assert depth.frames == 4
    assert depth.all["network"].abs_rel == pytest.approx(0.2, abs=1e-3)
    assert depth.all["network"].delta1 == 1
    assert depth.all["pixel mean"].abs_rel == pytest.approx(0, abs=1e-6)
    assert depth.moving["network"].pixels < depth.all["network"].pixels


def test_average_precision_hears_of_what_is_not_tracked():
    source, config = blocks(1), EvaluateConfig(replace(LABELS, detector=None), min_pixels=4)
    sight = Sight(config.sight, CLASSES)
    sight.models = replace(sight.models, detector=Boxes())
    found = evaluate(labelled_videos(source, sight, config), sight, config)
    boxes, tracked = found.groups["front"].boxes, found.groups["front"].tracks
    assert boxes is not None
    assert tracked is not None
    assert boxes.map50 < 0.5
    assert boxes.truths == tracked.truths
    assert sight.models.detector is not None
    assert not isinstance(sight.models.detector, Hearing)  # as it was given


def test_cameras_are_told_apart():
    from tests.vision.labelled import labelled_episode

    source = replace(
        blocks(1), episodes=(labelled_episode(camera="front"), labelled_episode(1, camera="side/left"))
    )
    found = evaluate(
        labelled_videos(source, sight := Sight(LABELS, CLASSES), config := EvaluateConfig(LABELS)),
        sight,
        config,
    )
    assert list(found.groups) == ["all", "front", "side/left"]
    assert found.groups["all"].frames == found.groups["front"].frames + found.groups["side/left"].frames
    assert found.groups["all"].videos == 2


def test_a_limited_number_of_episodes_is_spread():
    config = EvaluateConfig(LABELS, episodes=2)
    names = [v.frames.name for v in labelled_videos(blocks(6), Sight(LABELS, CLASSES), config)]
    assert names == ["blocks-0 front", "blocks-3 front"]


# Ground truth of files


def mot(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_video_of_a_mot_file(tmp_path: Path):
    rows = [f"{i},1,{10 + i},10,12,14,1,-1,-1,-1" for i in range(1, 21)]
    ignored = [f"{i},2,40,10,12,14,0,-1,-1,-1" for i in range(1, 21)]
    truth = mot(tmp_path / "gt.txt", rows + ignored)
    frames = MotFrames(read_mot(mot(tmp_path / "det.txt", rows)), name="walk")
    config = EvaluateConfig(SightConfig(look="none"))
    found = evaluate([mot_video(frames, truth)], Sight(config.sight), config)
    group = found.groups["video"]
    assert group.boxes is not None
    assert group.tracks is not None
    assert group.boxes.map50 == pytest.approx(1)
    assert group.tracks.idf1 > 0.9
    assert group.tracks.identities == 1  # what counts
    assert group.motion is None


def test_truth_of_another_video(tmp_path: Path):
    rows = [f"{i},1,10,10,12,14,1,-1,-1,-1" for i in range(1, 21)]
    frames = MotFrames(read_mot(mot(tmp_path / "det.txt", rows[:10])), name="walk")
    config = EvaluateConfig(SightConfig(look="none"))
    video = mot_video(frames, mot(tmp_path / "gt.txt", rows))
    with pytest.raises(DataError, match="different frames") as error:
        evaluate([video], Sight(config.sight), config)
    assert "20 frames" in str(error.value)
    assert evaluate([video], Sight(config.sight), config, limit=5).groups["video"].frames == 5


def test_truth_in_which_nothing_counts(tmp_path: Path):
    truth = mot(tmp_path / "gt.txt", ["1,1,10,10,12,14,0,-1,-1,-1"])
    frames = MotFrames(read_mot(truth), name="walk")
    with pytest.raises(DataError, match="no true box"):
        mot_video(frames, truth)


def test_settings_that_cannot_be():
    for wrong in ({"depth_every": 0}, {"score": 2.0}, {"episodes": 0}, {"min_pixels": 0}):
        with pytest.raises(ConfigError):
            merge(EvaluateConfig(), wrong)
    assert {"default", "realtime", "manipulation"} <= PRESETS.keys()
