"""Public sequences, peers and scores for benchmarks of tracking.

Sequences lie in ../shared/data/mot beside the repository. The pictures of PETS09-S2L1 are Debian's
`vtest.avi`, looked for as build/vtest.avi:

    apt-get download opencv-doc
    dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -xO --wildcards '*/data/vtest.avi' > build/vtest.avi

All trackers get the same detections and are scored the same way, by trackeval 1.3.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_vision.evaluation import Identified, score_tracking
from vla_vision.tracking import HistogramEmbedder, Tracker, TrackerConfig, VideoFile, read_mot
from vla_vision.types import Detections

ROOT = Path(__file__).resolve().parents[1]
MOT = ROOT / ".." / "shared" / "data" / "mot"
VIDEOS = {
    "TUD-Campus": MOT / "TUD-Campus" / "TUD-Campus.mp4",
    "PETS09-S2L1": ROOT / "build" / "vtest.avi",
}

TIMED_FRAMES = 400  # at least; short sequences run several times

Output = list[tuple[np.ndarray, np.ndarray]]  # ids and boxes, a frame each
Run = Callable[[Sequence[Detections]], Output]


@dataclass(frozen=True)
class MotSequence:
    """Detections and truth (ids, boxes) a frame; `looks` are the detections with embeddings, or None."""

    name: str
    detections: list[Detections]
    truth: Output
    looks: list[Detections] | None = None

    def part(self, start: int, stop: int) -> MotSequence:
        """Frames [start, stop) as a sequence of their own."""
        looks = None if self.looks is None else self.looks[start:stop]
        return MotSequence(self.name, self.detections[start:stop], self.truth[start:stop], looks)


@dataclass(frozen=True)
class Score:
    """MOTA, IDF1 and HOTA in percent, identity switches, and frames per second of processor time."""

    mota: float
    idf1: float
    hota: float
    switches: int
    rate: float


def public(name: str) -> MotSequence:
    """A sequence of ../shared/data/mot; with looks where its pictures are at hand."""
    found = read_mot(MOT / name / "det" / "det.txt")
    truth_rows = read_mot(MOT / name / "gt" / "gt.txt")
    frames = range(1, max(found.frames, truth_rows.frames) + 1)
    detections = [found.detections(i) for i in frames]
    truth: Output = []
    for i in frames:
        counted = truth_rows.detections(i).scores > 0  # 0 marks what is not to be scored
        truth.append((truth_rows.ids(i)[counted], truth_rows.detections(i).boxes[counted]))
    looks = described(detections, VIDEOS[name]) if VIDEOS[name].is_file() else None
    return MotSequence(name, detections, truth, looks)


def described(detections: Sequence[Detections], video: Path) -> list[Detections]:
    """The detections with colour and edge histograms."""
    embedder = HistogramEmbedder()
    looks = []
    for found, frame in zip(detections, VideoFile(video), strict=True):
        assert frame.image is not None
        looks.append(found.with_embeddings(embedder.embed(frame.image, found.boxes)))
    return looks


def measured(run: Run, sequences: Sequence[MotSequence], looks: bool = False) -> Score:
    """A tracker over sequences, each from the start: scores over all boxes of all of them, and its rate."""
    given = [s.looks if looks and s.looks is not None else s.detections for s in sequences]
    pairs = [(s.truth, run(d)) for s, d in zip(sequences, given, strict=True)]  # also warms up
    frames = sum(map(len, given))
    times = -(-TIMED_FRAMES // frames)
    began = time.process_time()
    for detections in given * times:
        run(detections)
    return _score(pairs, frames * times / (time.process_time() - began))


def _score(pairs: list[tuple[Output, Output]], rate: float) -> Score:
    videos = [(_identified(truth), _identified(output)) for truth, output in pairs]
    scores = score_tracking(videos)
    assert scores is not None
    return Score(100 * scores.mota, 100 * scores.idf1, 100 * scores.hota, scores.switches, rate)


def _identified(frames: Output) -> list[Identified]:
    return [Identified(ids.astype(np.int64), boxes.astype(np.float32)) for ids, boxes in frames]


def ours(config: TrackerConfig | None = None) -> Run:
    """Our tracker."""

    def run(detections: Sequence[Detections]) -> Output:
        tracker = Tracker(config)
        tracks = [tracker.update(found) for found in detections]
        return [(t.ids, t.boxes) for t in tracks]

    return run


def peers(high: float | None = None, new: float | None = None) -> dict[str, Run]:
    """SORT, ByteTrack, BoT-SORT, C-BIoU of `trackers` and ultralytics' BoT-SORT: at their defaults, or with
    the given thresholds for good detections and for new tracks. No pictures, so no camera motion."""
    trackers = _trackers_package()
    split = {"high_conf_det_threshold": high, "track_activation_threshold": new} if high else {}
    begin = {"track_activation_threshold": new} if new else {}
    return {
        "SORT": _roboflow(lambda: trackers.SORTTracker(**begin)),
        "ByteTrack": _roboflow(lambda: trackers.ByteTrackTracker(**split)),
        "BoT-SORT": _roboflow(lambda: trackers.BoTSORTTracker(enable_cmc=False, **split)),
        "C-BIoU": _roboflow(lambda: trackers.CBIoUTracker(**split)),
        "ultralytics BoT-SORT": _ultralytics(high, new),
    }


def _trackers_package() -> Any:
    """The package `trackers`, not the benchmark of that name beside this file."""
    here, path = Path(__file__).resolve().parent, list(sys.path)
    sys.path[:] = [p for p in path if Path(p).resolve() != here]
    try:
        return importlib.import_module("trackers")
    finally:
        sys.path[:] = path


def _roboflow(make: Callable[[], Any]) -> Run:
    import supervision as sv

    def run(detections: Sequence[Detections]) -> Output:
        tracker, output = make(), []
        for d in detections:
            given = sv.Detections(xyxy=d.boxes, confidence=d.scores, class_id=d.classes.astype(int))
            found = tracker.update(given)
            ids = np.asarray(found.tracker_id if found.tracker_id is not None else [], int)
            known = ids >= 0
            output.append((ids[known], found.xyxy[known]))
        return output

    return run


def _ultralytics(high: float | None, new: float | None) -> Run:
    quiet = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0"}
    os.environ.update(quiet, YOLO_CONFIG_DIR=tempfile.gettempdir())
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(str(check_yaml("botsort.yaml"))) | {"gmc_method": "none"}
    settings |= {"track_high_thresh": high, "new_track_thresh": new} if high else {}

    def run(detections: Sequence[Detections]) -> Output:
        tracker, output = BOTSORT(IterableSimpleNamespace(**settings)), []
        for d in detections:
            rows = np.concatenate([d.boxes, d.scores[:, None], np.zeros((len(d), 1), np.float32)], axis=1)
            found = np.asarray(tracker.update(Boxes(rows, (1080, 1920)))).reshape(-1, 8)
            output.append((found[:, 4].astype(int), found[:, :4]))
        return output

    return run
