"""Videos whose truth is known: cameras of labelled episodes, and sequences with MOTChallenge ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_data.objects import MASKS, labelled_cameras
from vla_data.protocols import EpisodeSource
from vla_data.types import DepthSequence
from vla_vision.evaluation.config import EvaluateConfig
from vla_vision.labels.naming import class_names_of
from vla_vision.labels.truth import FrameLabels, true_labels
from vla_vision.perception.sight import Sight
from vla_vision.tracking.mot_file import read_mot
from vla_vision.tracking.sources import FrameSource
from vla_vision.types import Detections


@dataclass(frozen=True, eq=False)
class TrueVideo:
    """Frames and what is known of them.

    Args:
        frames: as the loop gets them; without the depth that the truth has, unless the loop is to have it.
        labels: one a frame, in order.
        group: what it is scored with: the camera's name, or "video".
        depth: of each frame, metres; None where it is not known.
        named: whether classes count, or everything is of one class.
    """

    frames: FrameSource
    labels: Sequence[FrameLabels]
    group: str = "video"
    depth: DepthSequence | None = None
    named: bool = True


def labelled_videos(source: EpisodeSource, sight: Sight, config: EvaluateConfig) -> Iterator[TrueVideo]:
    """The cameras of labelled episodes, one video after the other.

    Raises:
        DataError: an episode has no labels, or none of a camera that was named.
    """
    names = class_names_of(source)
    every = max(1, len(source) // config.episodes) if config.episodes is not None else 1
    for index in list(range(0, len(source), every))[: config.episodes]:
        episode = source[index]
        for camera in config.cameras or labelled_cameras(episode):
            masks = f"{MASKS}{camera}" in episode.series
            labels = list(true_labels(episode, camera, names, min_pixels=config.min_pixels, masks=masks))
            depth = episode.depth.get(camera)
            yield TrueVideo(sight.source(episode, camera), labels, camera, depth)


def count_videos(source: EpisodeSource, config: EvaluateConfig) -> int | None:
    """How many `labelled_videos` gives; None where that is not known before."""
    episodes = min(len(source), config.episodes or len(source))
    return episodes * len(config.cameras) if config.cameras else None


def mot_video(frames: FrameSource, truth: Path, *, skip_corrupt: bool = False) -> TrueVideo:
    """A video with ground truth in the MOTChallenge format; rows of score 0 do not count.

    Raises:
        DataError: the file cannot be read, or nothing in it counts.
    """
    rows = read_mot(truth, skip_corrupt=skip_corrupt)
    labels = []
    for index in range(1, max(rows.frames, frames.frames or 0) + 1):
        found = rows.detections(index)
        counts = found.scores > 0
        ones = Detections(found.boxes[counts], np.ones(int(counts.sum()), np.float32), found.classes[counts])
        labels.append(FrameLabels(index - 1, rows.ids(index)[counts], ones))
    if not any(len(label.ids) for label in labels):
        raise DataError(
            "there is no true box",
            where=str(truth),
            expected="lines frame,id,left,top,width,height,1",
            got=f"{len(rows.rows)} lines, none with a score above 0",
        )
    return TrueVideo(frames, labels, named=False)


def unnamed(detections: Detections) -> Detections:
    """The same, all of one class."""
    return replace(detections, classes=np.zeros(len(detections), np.int64), class_names=())
