"""The measurement behind `vla vision eval`: models loaded, a summary and a page made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section
from vla_vision.detection.config import DetectOptions
from vla_vision.evaluation.config import EvaluateConfig
from vla_vision.evaluation.pages import describe
from vla_vision.evaluation.scoring import evaluate
from vla_vision.evaluation.videos import count_videos, labelled_videos, mot_video
from vla_vision.labels.naming import class_names_of
from vla_vision.perception.sight import LABELS, Sight
from vla_vision.tracking.sinks import OpenVideo, Outputs
from vla_vision.tracking.sources import FrameSource

FILM = "film.mp4"
EVERYTHING = DetectOptions(score=0.001, max_detections=100)

Told = tuple[dict[str, Any], list[Section]]


def evaluate_episodes(
    source: EpisodeSource,
    config: EvaluateConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    open_video: OpenVideo | None = None,
) -> Told:
    """Measure on labelled episodes; pictures are written to `out`.

    Args:
        open_video: writes the film, such as `vla_data.video.Mp4Writer`; None leaves it out.

    Raises:
        DataError: an episode has no labels.
        CheckpointError, MissingDependencyError: as models are loaded.
    """
    names = class_names_of(source) if config.sight.detector == LABELS else ()
    sight = Sight(config.sight, names, EVERYTHING)
    found = evaluate(
        labelled_videos(source, sight, config),
        sight,
        config,
        on_progress,
        total=count_videos(source, config),
        encoder=_encoder(config),
        outputs=_outputs(config, out, open_video),
    )
    return describe(found, out)


def evaluate_video(
    frames: FrameSource,
    truth: Path,
    config: EvaluateConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    limit: int | None = None,
    skip_corrupt: bool = False,
    open_video: OpenVideo | None = None,
) -> Told:
    """Measure on one video with MOTChallenge ground truth; see `evaluate_episodes`.

    Args:
        frames: with detections of their own (`MotFrames`), or pictures for the detector of `config`.
        limit: frames.
        skip_corrupt: leave out lines of the truth that cannot be read.
    """
    found = evaluate(
        [mot_video(frames, truth, skip_corrupt=skip_corrupt)],
        Sight(config.sight, options=EVERYTHING),
        config,
        on_progress,
        total=1,
        limit=limit,
        encoder=_encoder(config),
        outputs=_outputs(config, out, open_video),
    )
    return describe(found, out)


def _outputs(config: EvaluateConfig, out: Path, open_video: OpenVideo | None) -> Outputs:
    return Outputs(video=out / FILM, open_video=open_video) if config.film and open_video else Outputs()


def _encoder(config: EvaluateConfig) -> Any:
    if config.encoder is None:
        return None
    from vla_vision.encoder.checkpoint import load_encoder

    return load_encoder(config.encoder)[0]
