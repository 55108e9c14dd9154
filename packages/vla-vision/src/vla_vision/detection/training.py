"""Training a detector on labelled images: a run directory, a checkpoint. Needs `vla-vision[yolo]`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, fit, save_weights
from vla_data.fit.weights import read_tensors
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Section
from vla_vision.depth.sources import read_image
from vla_vision.detection.batches import AugmentConfig, DetectionBatches, Pictures
from vla_vision.detection.checkpoint import (
    FILES,
    SUBDIRECTORY,
    DetectorRecord,
    find_checkpoint,
    read_detector,
    save_detector,
)
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.pages import describe
from vla_vision.detection.samples import Labels, YoloData, open_yolo_data, truth_of
from vla_vision.detection.scores import DetectionScores, score_detections
from vla_vision.detection.yolo import YoloNetwork, detector_of
from vla_vision.types import Detections

SCORING = DetectOptions(score=0.001, max_detections=100, threads=None)


@dataclass(frozen=True)
class TrainConfig:
    """How a detector is trained.

    Args:
        architecture: such as "yolo26n"; "yolo26n-seg" learns masks too, from outlines.
        image_size: longer side in pixels, a multiple of 32.
        epochs: times that every image is seen.
        suppress: read the one-to-many head and suppress overlaps, instead of the one-to-one head (YOLO26 has
            both).
        augment: how samples differ from images.
        fit: the training loop; its `steps` are counted from `epochs`, at most a tenth of them warm up.
        validate_every: epochs between scores on validation images.
        validate_images: at most so many of them on the way; the end takes all.
    """

    architecture: str = "yolo26n"
    image_size: int = 320
    epochs: int = 60
    suppress: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    validate_every: int = 10
    validate_images: int = 100

    def __post_init__(self) -> None:
        numbers = (self.epochs, self.validate_every, self.validate_images)
        if self.image_size < 32 or self.image_size % 32 or min(numbers) < 1:
            raise ConfigError(
                "a training setting is out of range",
                where="TrainConfig",
                expected="image_size a multiple of 32; epochs, validate_every and validate_images at least 1",
                got=f"image_size {self.image_size}, {numbers}",
            )


def _default() -> TrainConfig:
    loop = FitConfig(
        batch_size=16,
        learning_rate=1e-3,
        weight_decay=5e-4,
        warmup_steps=100,
        gradient_clip=10.0,
        ema_decay=0.998,
        threads=None,
        checkpoint_every=50,
        log_every=10,
    )
    return TrainConfig(fit=loop)


def _small() -> TrainConfig:
    return replace(_default(), image_size=160, epochs=100)


def _masks() -> TrainConfig:
    return replace(_default(), architecture="yolo26n-seg")


def _debug() -> TrainConfig:
    config = _default()
    loop = replace(config.fit, batch_size=4, warmup_steps=2, checkpoint_every=2, log_every=1, threads=1)
    return replace(config, architecture="yolo26t", image_size=64, epochs=2, validate_every=1, fit=loop)


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    "default": _default,
    "small": _small,
    "masks": _masks,
    "debug": _debug,
}


def train_detector(
    data: Path,
    config: TrainConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    start: Path | None = None,
    skip_corrupt: bool = False,
) -> tuple[dict[str, Any], list[Section]]:
    """Train a detector and write `out/detector`.

    Interrupted at any moment, the same call goes on from the last resume state to the same weights.

    Args:
        data: a data set in the YOLO layout (see `samples`), with train and val.
        config: how.
        out: run directory.
        start: checkpoint to start from; tensors that do not fit (other classes) start anew.
        skip_corrupt: leave out and count images that cannot be read.

    Returns:
        A summary of plain values and the sections of the run's page.

    Raises:
        DataError: the data set is damaged.
        DivergedError: training diverged.
        MissingDependencyError: ultralytics is not installed.
    """
    found = open_yolo_data(data, skip_corrupt=skip_corrupt)
    torch.manual_seed(config.fit.seed)
    network = YoloNetwork(config.architecture, len(found.class_names))
    _require_outlines(network, found, config)
    taken = _take_over(network, start) if start is not None else 0
    record = DetectorRecord(
        "yolo",
        config.architecture,
        found.class_names,
        config.image_size,
        config.suppress or not network.one_to_one,
        network.masks,
        (found.directory.name,),
    )
    pairs = found.splits["train"]
    each = math.ceil(len(pairs) / config.fit.batch_size)
    steps = each * config.epochs
    loop = replace(config.fit, steps=steps, warmup_steps=min(config.fit.warmup_steps, steps // 10))
    pictures = Pictures([p for p, _ in pairs], config.image_size)
    batches = DetectionBatches(
        pictures,
        [x for _, x in pairs],
        loop.batch_size,
        loop.steps,
        loop.seed,
        config.augment,
        network.masks > 0,
    )
    result = fit(
        network,
        batches,
        loop,
        out,
        on_progress,
        validate=_Validation(found.splits["val"][: config.validate_images], record),
        validate_every=each * config.validate_every,
        stage="train",
    )
    save_detector(out / SUBDIRECTORY, record, lambda path: save_weights(network, path))
    detector = detector_of(network, record, SCORING)
    scores, shown = score_on(detector, found.splits["val"], on_progress)
    return describe(network, found, record, result, scores, shown, taken, out)


def score_on(
    detector: Any, pairs: Sequence[tuple[Path, Labels]], on_progress: OnProgress = no_progress
) -> tuple[DetectionScores, list[tuple[Path, Detections]]]:
    """Scores of a detector on labelled images, and what it found in each."""
    shown, truths = [], []
    for i, (path, labels) in enumerate(pairs):
        image = read_image(path)
        truths.append(truth_of(labels, image.shape[:2], detector.class_names))
        shown.append((path, detector.detect([image])[0]))
        on_progress(Progress("validate", i + 1, len(pairs), "images"))
    return score_detections([d for _, d in shown], truths), shown


class _Validation:
    """Scores of the network as it stands, on a few images."""

    def __init__(self, pairs: Sequence[tuple[Path, Labels]], record: DetectorRecord) -> None:
        self.pairs, self.record = pairs, record

    def __call__(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, YoloNetwork)
        scores, _ = score_on(detector_of(network, self.record, SCORING), self.pairs)
        return {"map50": scores.map50, "map50_95": scores.map50_95}


def _require_outlines(network: YoloNetwork, data: YoloData, config: TrainConfig) -> None:
    if network.masks and not data.has_outlines:
        raise ConfigError(
            "masks are learned from outlines, and the labels hold boxes alone",
            where=f"architecture {config.architecture}",
            expected="labels with the corners of outlines",
            got=str(data.directory),
            next_step=f"train boxes: --set architecture={config.architecture.removesuffix('-seg')}",
        )


def _take_over(network: YoloNetwork, start: Path) -> int:
    """Fill what fits from another checkpoint; the number of tensors that did."""
    directory = find_checkpoint(start)
    if read_detector(directory).engine != "yolo":
        raise ConfigError("training starts from a trained checkpoint", where="--start", got=str(directory))
    other, _ = read_tensors(directory / FILES["yolo"])
    own: Mapping[str, torch.Tensor] = network.state_dict()
    fitting = {k: v for k, v in other.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise ConfigError(
            "nothing of the checkpoint to start from fits",
            where="--start",
            expected="a checkpoint of the same architecture",
            got=str(directory),
        )
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
