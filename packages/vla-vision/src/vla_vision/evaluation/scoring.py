"""One pass over videos whose truth is known: boxes, identities, depth, motion, tokens, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_vision.depth.frames import usable_depth
from vla_vision.detection.scores import DetectionScores, score_detections
from vla_vision.evaluation.album import Film, Shown
from vla_vision.evaluation.config import EvaluateConfig
from vla_vision.evaluation.depth_scores import DepthScores, score_depths
from vla_vision.evaluation.motion_scores import SLOWEST, MotionJudge, MotionScores
from vla_vision.evaluation.tracking_scores import Identified, TrackScores, score_tracking
from vla_vision.evaluation.videos import TrueVideo, unnamed
from vla_vision.evenly import Evenly
from vla_vision.labels.truth import FrameLabels
from vla_vision.perception.percept import Percept
from vla_vision.perception.sight import Sight
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking.sinks import Outputs
from vla_vision.types import Detections, Detector, Frame

MAX_DEPTH = 10.0  # metres; farther is not measured: a simulator's sky lies at its far plane
NOT_PERCEPTION = ("read", "judge")


@dataclass(frozen=True)
class GroupScores:
    """All that could be scored of videos that belong together; None: there was no truth, or nothing to score.

    Args:
        videos, frames: how many.
        boxes: of the detector; of a detector that is the labels themselves it says nothing and is None.
        tracks, motion, depth: see their classes.
    """

    videos: int
    frames: int
    boxes: DetectionScores | None
    tracks: TrackScores | None
    motion: MotionScores | None
    depth: DepthScores | None


@dataclass(frozen=True)
class Evaluation:
    """What came of a pass.

    Args:
        groups: name → scores; "all" where there are several.
        rate: frames a second of perception, without reading and judging.
        stages: milliseconds, see `Stopwatch.table`.
        tokens_per_frame, tokens_per_second: of the encoder; 0 without one.
        shown: pictures for the page, evenly over all frames.
        film: the clip of the first video, where one was made, and its name.
    """

    groups: dict[str, GroupScores]
    rate: float
    stages: dict[str, dict[str, float]]
    tokens_per_frame: int = 0
    tokens_per_second: float = 0.0
    shown: list[Shown] = field(default_factory=list)
    film: tuple[Path, str] | None = None


class Hearing:
    """A detector that says what it is sure of, and remembers what else it said."""

    def __init__(self, detector: Detector, least: float) -> None:
        self.detector, self.least = detector, least
        self.class_names = detector.class_names
        self.said: list[Detections] = []

    def detect(self, images: Sequence[Frame]) -> list[Detections]:
        """Detections of at least the wanted score."""
        self.said = self.detector.detect(images)
        return [d.select(d.scores >= self.least) for d in self.said]


@dataclass
class _Gathered:
    """Of one group, what is scored at the end."""

    judge: MotionJudge
    videos: int = 0
    found: list[Detections] = field(default_factory=list)
    truth: list[Detections] = field(default_factory=list)
    sequences: list[tuple[list[Identified], list[Identified]]] = field(default_factory=list)
    depths: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def scores(self, detects: bool) -> GroupScores:
        boxes = score_detections(self.found, self.truth) if detects and self.truth else None
        return GroupScores(
            self.videos,
            len(self.truth),
            boxes,
            score_tracking(self.sequences),
            self.judge.scores(),
            score_depths(self.depths),
        )


def evaluate(
    videos: Iterable[TrueVideo],
    sight: Sight,
    config: EvaluateConfig,
    on_progress: OnProgress = no_progress,
    *,
    total: int | None = None,
    limit: int | None = None,
    encoder: Any = None,
    outputs: Outputs | None = None,
) -> Evaluation:
    """Perceive all frames of all videos and compare with the truth.

    Args:
        sight: loaded with a detector that also says what it is hardly sure of (`DetectOptions.score` near 0).
        total: how many videos there are, where that is known.
        limit: frames of each video.
        encoder: a `VideoEncoder`, to count tokens.
        outputs: the annotated video of the first one is written; none by default.

    Raises:
        DataError: there is no frame, or fewer or more than the truth is of.
        MissingDependencyError: trackeval is not installed.
    """
    hearing = Hearing(sight.models.detector, config.score) if sight.models.detector is not None else None
    looking = copy(sight)
    looking.models = replace(sight.models, detector=hearing)
    groups: dict[str, _Gathered] = {}
    everything = _Gathered(MotionJudge(config.sight.loop.velocity))
    watch, shown = Stopwatch(), Evenly[Shown](config.pictures)
    tokens = _Tokens(encoder) if encoder is not None else None
    outputs, filmed = outputs or Outputs(), ""
    for done, video in enumerate(videos):
        own = groups.setdefault(video.group, _Gathered(MotionJudge(config.sight.loop.velocity)))
        rate = min(config.film, video.frames.frame_rate)
        filmed = filmed or video.frames.name
        with Film(outputs.video if done == 0 else None, rate, outputs.open_video) as clip:
            _watch(video, looking, config, hearing, (own, everything), watch, shown, limit, tokens, clip)
        on_progress(Progress("evaluate", done + 1, total, "videos"))
    if not everything.truth:
        raise DataError("there is no frame to measure", expected="at least one", got="none")
    detects = config.sight.detector != "labels"
    told = {name: group.scores(detects) for name, group in sorted(groups.items())}
    if len(told) > 1:
        told = {"all": everything.scores(detects), **told}
    seconds = sum(watch.frames) - sum(watch.seconds.get(stage, 0.0) for stage in NOT_PERCEPTION)
    rate = len(watch.frames) / seconds if seconds > 0 else 0.0
    each = tokens.each if tokens is not None else 0
    made = (outputs.video, filmed) if outputs.video is not None and outputs.video.is_file() else None
    return Evaluation(told, round(rate, 1), watch.table(), each, round(rate * each, 1), shown.picked(), made)


def _watch(
    video: TrueVideo,
    sight: Sight,
    config: EvaluateConfig,
    hearing: Hearing | None,
    groups: Sequence[_Gathered],
    watch: Stopwatch,
    album: Evenly[Shown],
    limit: int | None,
    tokens: _Tokens | None,
    clip: Film,
) -> None:
    """One video into its group, the first, and into the sum of all; depth is of one camera."""
    labels = video.labels[:limit]
    truth, output = [], []
    for group in groups:
        group.judge.start(getattr(video.frames, "intrinsics", None))
        group.videos += 1
    if tokens is not None:
        tokens.start()
    count = 0
    for percept in sight.look(video.frames, watch=watch):
        if count == len(labels):
            if limit is None:
                raise _other_length(video, f"more than {count}")
            break
        if tokens is not None:
            tokens.add(percept, watch)
        label = labels[count]
        found = percept.detections if hearing is None else hearing.said[0]
        true = label.objects if video.named else unnamed(label.objects)
        truth.append(Identified(label.ids, label.objects.boxes))
        output.append(Identified(percept.tracks.ids, percept.tracks.boxes))
        depth = _depth_of(video, percept, label, count, config, sight)
        for group in groups:
            group.found.append(_boxes(found if video.named else unnamed(found)))
            group.truth.append(_boxes(true))
            group.judge.add(percept, label)
        groups[0].depths += [depth] if depth is not None else []
        if percept.image is not None:
            album.add(Shown(f"{video.frames.name}, frame {percept.index}", percept, label))
        clip.add(percept)
        count += 1
        watch.lap("judge")
    watch.stop()
    if count < len(labels):
        raise _other_length(video, str(count))
    for group in groups:
        group.sequences.append((truth, output))


def _boxes(detections: Detections) -> Detections:
    return replace(detections, masks=None, embeddings=None)


def _depth_of(
    video: TrueVideo, percept: Percept, label: FrameLabels, count: int, config: EvaluateConfig, sight: Sight
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """What is said, what is true and what moves, [height, width] each, where depth is to be measured."""
    due = sight.models.depth is not None and count % config.depth_every == 0
    if not due or video.depth is None or percept.depth is None or percept.depth.kind != "metric":
        return None
    true = usable_depth(np.asarray(video.depth[count]), MAX_DEPTH)
    moving = np.zeros(true.shape, bool)
    if label.motion is not None and label.objects.masks is not None:
        fast = np.linalg.norm(label.motion.velocity, axis=1) > SLOWEST
        moving |= label.objects.masks[fast].any(axis=0)
    return percept.depth.values.astype(np.float16), true.astype(np.float16), moving


def _other_length(video: TrueVideo, got: str) -> DataError:
    return DataError(
        "a video and its truth are of different frames",
        where=video.frames.name,
        expected=f"{len(video.labels)} frames",
        got=got,
        next_step="give the truth of this very video",
    )


class _Tokens:
    """Encodes what is perceived, to tell how fast that is."""

    def __init__(self, encoder: Any) -> None:
        from vla_vision.encoder.extractor import FeatureExtractor
        from vla_vision.encoder.stream import TokenStream

        self.extractor = FeatureExtractor(encoder.config.features)
        self.stream, self.each = TokenStream(encoder), encoder.tokens_per_frame

    def start(self) -> None:
        """Another video."""
        self.extractor.reset()
        self.stream.reset()

    def add(self, percept: Percept, watch: Stopwatch) -> None:
        """A frame."""
        features = self.extractor.update(percept)
        watch.lap("features")
        self.stream.update(features)
        watch.lap("encode")
