"""What is where, how far, moving how fast, where every label is exact: Meta-World on held-out placements and
held-out tasks, by a detector and a depth network trained here from nothing.

DIR/detector-fine is a run of `vla vision train` on DIR/data/train, first with a camera that stands somewhere
else in every frame, then on the two fixed ones alone, at last on these at 416 pixels; DIR/depth one of
`vla vision train-depth` on DIR/data/depth that never saw the camera `corner3`. What is not there yet is made,
in five hours of one core; interrupted, it goes on. All scores are those of `vla vision eval`. Peers: SORT and
ByteTrack of `trackers` on the same detections; true boxes in the detector's place; a five-frame difference
and zero; the mean depth of each pixel, which knows the camera.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from _frame import Check, run_in
from _mot import Output, peers
from _perception_data import (
    KNOWN_CAMERAS,
    KNOWN_CLASS_TASKS,
    NEW_CLASS_TASKS,
    UNSEEN_CAMERA,
    PerceptionData,
    perception_data,
)
from _weights import CACHE
from vla_data import open_episodes
from vla_data.protocols import EpisodeSource
from vla_data.runs import Manifest
from vla_data.types import Episode, RobotSpec
from vla_vision.depth.evaluation import DepthScore
from vla_vision.detection import load_detector
from vla_vision.detection.scores import DetectionScores, score_detections
from vla_vision.evaluation import (
    EvaluateConfig,
    Evaluation,
    Identified,
    TrackScores,
    evaluate,
    labelled_videos,
    score_tracking,
)
from vla_vision.evaluation.run import EVERYTHING
from vla_vision.labels.naming import class_names_of
from vla_vision.perception import Sight, SightConfig
from vla_vision.types import Detections, Frame

VLA = Path(sys.executable).with_name("vla")
CAMERA = KNOWN_CAMERAS[0]
TRAIN_WIDE = ("--imgsz", "320", "--epochs", "30", "--every", "24", "--set", "fit.threads=1")
LABELS = ("--cameras", ",".join(KNOWN_CAMERAS), "--every", "12")
TRAIN_DETECTOR = (
    "--imgsz", "320", "--epochs", "18", "--set", "fit.threads=2", "--set", "fit.learning_rate=0.0008",
)  # fmt: skip
TRAIN_FINE = (
    "--imgsz", "416", "--epochs", "20", "--set", "fit.threads=2", "--set", "fit.learning_rate=0.0006",
)  # fmt: skip
TRAIN_DEPTH = ("--unseen", UNSEEN_CAMERA, "--set", "frames=16000", "--set", "fit.steps=4000")
SMOKE_DETECTOR, SMOKE_DEPTH = ("--preset", "debug"), ("--preset", "debug", "--unseen", UNSEEN_CAMERA)
UNSEEN_EVERY = 6  # frames of the camera that the detector never saw
MAP50, RECALL, HOTA, DELTA1, OVER_FIVE, OVER_ZERO = 0.85, 0.8, 0.7, 0.9, 0.5, 0.7


@dataclass(frozen=True)
class Some:
    """The episodes of some tasks, as an `EpisodeSource`."""

    source: EpisodeSource
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def robot(self) -> RobotSpec:
        return self.source.robot

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Episode:
        return self.source[self.rows[index]]

    @classmethod
    def of(cls, source: EpisodeSource, tasks: Sequence[str]) -> Some:
        rows = [i for i in range(len(source)) if str(source[i].metadata["task"]) in tasks]
        return cls(source, tuple(rows))


class Recorder:
    """A detector whose every word is kept, for peers to hear the same."""

    def __init__(self, path: Path) -> None:
        self.detector = load_detector(path, options=replace(EVERYTHING, threads=1))
        self.class_names = self.detector.class_names
        self.kept: list[Detections] = []

    def detect(self, images: Sequence[Frame]) -> list[Detections]:
        found = self.detector.detect(images)
        self.kept += found
        return found


def main(smoke: bool, directory: Path) -> list[Check]:
    """All checks; data and weights are made where they are not there yet."""
    torch.set_num_threads(1)
    data = perception_data(directory / "data", smoke)
    detector, depth = directory / "detector-fine", directory / "depth"
    _train_detector(data.train, directory, smoke)
    _train("train-depth", data.depth, depth, SMOKE_DEPTH if smoke else TRAIN_DEPTH)
    checks = [
        *_detection(data, detector, smoke),
        *_space(data, detector, depth),
        *_depth(depth),
    ]
    return [replace(c, ok=True) for c in checks] if smoke else checks


def _train_detector(data: Path, directory: Path, smoke: bool) -> None:
    wide, boxes, detector, fine = (
        directory / name for name in ("detector-wide", "boxes", "detector", "detector-fine")
    )
    if (fine / "manifest.json").is_file():
        return
    if smoke:
        _train("train", data, fine, SMOKE_DETECTOR)
        return
    _train("train", data, wide, TRAIN_WIDE)
    if not (boxes / "manifest.json").is_file():
        say = [str(VLA), "vision", "labels", str(data), "--out", str(boxes), *LABELS]
        subprocess.run(say, check=True, stdout=sys.stderr)
    _train("train", boxes, detector, ("--start", str(wide), *TRAIN_DETECTOR))
    _train("train", boxes, fine, ("--start", str(detector), *TRAIN_FINE))


def _train(command: str, data: Path, out: Path, options: Sequence[str]) -> None:
    if not (out / "manifest.json").is_file():
        say = [str(VLA), "vision", command, "--data", str(data), "--out", str(out), *options]
        subprocess.run(say, check=True, stdout=sys.stderr)


def _detection(data: PerceptionData, weights: Path, smoke: bool) -> list[Check]:
    placements, tasks = (open_episodes(str(p), "train") for p in (data.placements, data.tasks))
    recorder = Recorder(weights)
    found = _evaluate(placements, SightConfig(str(weights), "none"), recorder)
    group = found.groups[CAMERA]
    limit = _evaluate(placements, SightConfig("labels", "none")).groups[CAMERA].tracks
    assert group.boxes is not None
    assert group.tracks is not None
    assert limit is not None
    rivals = _rivals(placements, recorder.kept)
    unseen = _boxes_only(placements, UNSEEN_CAMERA, weights)
    classes = ", ".join(f"{name} {ap:.2f}" for name, (ap, _, _) in group.boxes.by_class.items())
    checks = [
        Check(
            "held-out placements: mAP50", group.boxes.map50, "", f">= {MAP50:g}",
            f"{classes}; mAP50-95 {group.boxes.map50_95:.3f}", group.boxes.map50 >= MAP50,
        ),
        Check(
            f"the same from a camera never trained on ({UNSEEN_CAMERA}): mAP50", unseen.map50, "", "",
            f"recall of any class {unseen.recall_any_class:.2f}", True,
        ),
        Check(
            "held-out placements: HOTA", group.tracks.hota, "", f">= {HOTA:g}",
            ", ".join(f"{name} {s.hota:.3f}" for name, s in rivals.items())
            + f"; true boxes {limit.hota:.3f}; MOTA {group.tracks.mota:.3f}, IDF1 {group.tracks.idf1:.3f}",
            group.tracks.hota >= HOTA,
        ),
    ]  # fmt: skip
    named = {
        "held-out tasks": (KNOWN_CLASS_TASKS, True),
        "held-out task with a new class": (NEW_CLASS_TASKS, False),
    }
    for name, (wanted, goal) in named.items():
        some = Some.of(tasks, wanted)
        if not len(some):
            continue
        boxes = _evaluate(some, SightConfig(str(weights), "none"), Recorder(weights)).groups[CAMERA].boxes
        assert boxes is not None
        checks.append(
            Check(
                f"{name} ({', '.join(wanted)}): recall of any class", boxes.recall_any_class, "",
                f">= {RECALL:g}" if goal else "",
                f"at the confidence of best F1; of ten boxes a picture {boxes.recall_of_ten:.3f}; "
                f"mAP50 {boxes.map50:.3f}",
                not goal or boxes.recall_any_class >= RECALL,
            )
        )  # fmt: skip
    return checks


def _evaluate(source: EpisodeSource, sight: SightConfig, detector: Recorder | None = None) -> Evaluation:
    """All frames of `CAMERA`."""
    config = EvaluateConfig(sight, cameras=(CAMERA,), pictures=0)
    looking = Sight(sight, class_names_of(source) if sight.detector == "labels" else (), EVERYTHING)
    if detector is not None:
        looking.models = replace(looking.models, detector=detector)
    return evaluate(labelled_videos(source, looking, config), looking, config)


def _boxes_only(source: EpisodeSource, camera: str, weights: Path) -> DetectionScores:
    detector = load_detector(weights, options=replace(EVERYTHING, threads=1))
    looking = Sight(SightConfig(look="none"))
    config = EvaluateConfig(cameras=(camera,))
    found, truth = [], []
    for video in labelled_videos(source, looking, config):
        for frame, labels in list(zip(video.frames, video.labels, strict=True))[::UNSEEN_EVERY]:
            assert frame.image is not None
            found += detector.detect([frame.image])
            truth.append(labels.objects)
    return score_detections(found, truth)


def _rivals(source: EpisodeSource, detections: Sequence[Detections]) -> dict[str, TrackScores]:
    """Other trackers on the same detections, at our thresholds."""
    config = EvaluateConfig(SightConfig(look="none"), cameras=(CAMERA,))
    threshold = config.sight.loop.tracker.high_score
    given, truths, start = [], [], 0
    for video in labelled_videos(source, Sight(config.sight), config):
        stop = start + len(video.labels)
        given.append([d.select(d.scores >= config.score) for d in detections[start:stop]])
        truths.append([Identified(label.ids, label.objects.boxes) for label in video.labels])
        start = stop
    assert start == len(detections)
    found = {}
    for name, track in peers(threshold, threshold).items():
        if name in ("SORT", "ByteTrack"):
            outputs = [_identified(track(d)) for d in given]
            scores = score_tracking(list(zip(truths, outputs, strict=True)))
            assert scores is not None
            found[name] = scores
    return found


def _identified(frames: Output) -> list[Identified]:
    return [Identified(ids.astype(np.int64), boxes.astype(np.float32)) for ids, boxes in frames]


def _space(data: PerceptionData, detector: Path, depth: Path) -> list[Check]:
    """Velocity by the trained networks, and with the depth that a perfect depth camera would give."""
    placements = open_episodes(str(data.placements), "train")
    ways = {
        "networks": (SightConfig(str(detector), str(depth)), True),
        "detector and the simulator's depth": (SightConfig(str(detector), "sensor"), False),
        "true boxes and the simulator's depth": (SightConfig("labels", "sensor"), False),
    }
    checks = []
    for name, (sight, goal) in ways.items():
        group = _evaluate(placements, sight).groups[CAMERA]
        motion = group.motion
        if motion is None:
            continue
        parts = (
            f"five frames {motion.difference:.3f}, zero {motion.zero:.3f}; radial {motion.radial:.3f}, "
            f"lateral {motion.lateral:.3f}; medians {motion.median_velocity:.3f}, "
            f"{motion.median_difference:.3f}, {motion.median_zero:.3f} m/s; "
            f"{motion.scored} of {motion.moving} scored"
        )
        five, zero = motion.velocity / motion.difference, motion.velocity / motion.zero
        goals = (f"<= {OVER_FIVE:g}", f"<= {OVER_ZERO:g}") if goal else ("", "")
        checks += [
            Check(f"velocity, {name}: mean error", motion.velocity, "m/s", "", parts, True),
            Check(
                f"velocity, {name}: over five frames", five, "×", goals[0], "", not goal or five <= OVER_FIVE
            ),
            Check(f"velocity, {name}: over zero", zero, "×", goals[1], "", not goal or zero <= OVER_ZERO),
        ]
        if group.depth is not None:
            checks.append(_in_loop(group.depth.all, group.depth.moving))
    return checks


def _in_loop(everywhere: Mapping[str, DepthScore], moving: Mapping[str, DepthScore]) -> Check:
    said = ", ".join(f"{name} {s.delta1:.3f}" for name, s in everywhere.items() if name != "network")
    on = ", ".join(f"{name} {s.delta1:.3f}" for name, s in moving.items())
    return Check(
        f"depth in the loop, held-out placements ({CAMERA}): δ1", everywhere["network"].delta1, "", "",
        f"{said}; on moving pixels {on}", True,
    )  # fmt: skip


def _depth(weights: Path) -> list[Check]:
    """What the training run measured on its held-out episodes, from the camera it never saw."""
    cameras = Manifest.load(weights).summary["cameras"]
    figures = cameras[UNSEEN_CAMERA]
    whole, moving = figures["all"], figures["moving"] or {}
    peer = f"pixel mean {whole['pixel mean delta1']:.3f}, constant {whole['constant delta1']:.3f}"
    checks = [
        Check(
            f"depth, camera never seen ({UNSEEN_CAMERA}): δ1", whole["delta1"], "", f">= {DELTA1:g}",
            f"{peer}; AbsRel {whole['abs_rel']:.3f}", whole["delta1"] >= DELTA1,
        )
    ]  # fmt: skip
    if moving:
        own, mean = moving["delta1"], moving["pixel mean delta1"]
        said = f"pixel mean {mean:.3f}, which knows this camera"
        checks.append(
            Check("the same on pixels of moving objects: δ1", own, "", "> pixel mean", said, own > mean)
        )
    return checks


if __name__ == "__main__":
    run_in(main, "sim_perception", CACHE / "perception")
