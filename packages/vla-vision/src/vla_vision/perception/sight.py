"""Which models look at frames, as a configuration that is stored, and one pass over a video with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.types import Episode
from vla_vision.detection.config import DetectOptions
from vla_vision.labels.truth import true_labels
from vla_vision.perception.config import PRESETS as LOOPS
from vla_vision.perception.config import PerceiveConfig
from vla_vision.perception.perceiver import Models, Perceiver
from vla_vision.perception.percept import Percept
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking.sources import EpisodeFrames, FrameSource, SourceFrame
from vla_vision.types import DepthModel, Detections, Detector, Embedder

LABELS, SENSOR, NONE, HISTOGRAM = "labels", "sensor", "none", "histogram"


@dataclass(frozen=True)
class SightConfig:
    """Which models look at frames.

    Args:
        detector: weights; "labels": the boxes of labelled episodes stand for one that errs never; None: no
            object is looked for.
        depth: weights; "none"; "sensor": the episode's own; None: the episode's own where it has one.
        look: how looks are compared: "histogram", "none", or weights (.safetensors).
        prompts: what to look for, with an open-vocabulary detector.
        loop: of tracking, flow, smoothing and velocity.
    """

    detector: str | None = None
    depth: str | None = None
    look: str = HISTOGRAM
    prompts: tuple[str, ...] = ()
    loop: PerceiveConfig = field(default_factory=LOOPS["manipulation"])


class Sight:
    """Loaded models, and the loop that asks them.

    Args:
        class_names: that boxes of labels are told apart by; a detector has its own.
        options: of the detector.

    Raises:
        CheckpointError, MissingDependencyError: weights cannot be loaded.
    """

    def __init__(
        self,
        config: SightConfig,
        class_names: tuple[str, ...] = (),
        options: DetectOptions | None = None,
    ) -> None:
        self.config = config
        self.models = Models(*_models(config, options), load_embedder(config.look))
        detector = self.models.detector
        self.class_names = class_names if detector is None else detector.class_names

    def source(self, episode: Episode, camera: str) -> EpisodeFrames:
        """The frames of one camera of an episode, with its own depth where that is to be taken.

        Raises:
            ConfigError: there is no such camera, or no depth of it and "sensor" asks for it.
        """
        own = self.config.depth == SENSOR or (self.config.depth is None and camera in episode.depth)
        return EpisodeFrames(episode, camera, own)

    def look(
        self, source: FrameSource, intrinsics: object | None = None, watch: Stopwatch | None = None
    ) -> Iterator[Percept]:
        """One video, perceived frame by frame.

        Args:
            intrinsics: of the camera, where the source does not know them.
            watch: is told the time of each stage; a frame ends when the next one is asked for.

        Raises:
            DataError: a frame cannot be read or used; an episode lacks labels that were asked for.
            ConfigError: labels were asked for of something that is no episode.
        """
        known = getattr(source, "intrinsics", None)
        with Perceiver(
            self.models, self.config.loop, intrinsics if known is None else known, source.size
        ) as perceiver:
            perceiver.watch = watch or perceiver.watch
            perceiver.watch.next_frame()
            for frame in self.boxed(source):
                perceiver.watch.lap("read")
                yield perceiver.update(frame)
                perceiver.watch.next_frame()
            perceiver.watch.drop()

    def boxed(self, source: FrameSource) -> Iterator[SourceFrame]:
        """Frames that need no detector, where there is none."""
        if self.models.detector is not None:
            yield from source
        elif self.config.detector == LABELS:
            if not isinstance(source, EpisodeFrames):
                raise ConfigError(
                    "only episodes carry labels",
                    where=source.name,
                    expected="weights of a detector",
                    got=f"detector {LABELS!r}",
                )
            labels = true_labels(source.episode, source.camera, self.class_names)
            for frame, found in zip(source, labels, strict=True):
                yield replace(frame, detections=found.objects)
        else:
            for frame in source:
                known = frame.detections is not None
                yield frame if known else replace(frame, detections=Detections.empty(self.class_names))


def depth_origin(config: SightConfig, source: FrameSource) -> str:
    """Where the depth of these frames comes from: "network", "sensor" or "none"."""
    if config.depth not in (None, NONE, SENSOR):
        return "network"
    own = isinstance(source, EpisodeFrames) and source.camera in source.episode.depth
    return SENSOR if own and config.depth != NONE else NONE


def _models(config: SightConfig, options: DetectOptions | None) -> tuple[Detector | None, DepthModel | None]:
    detector, depth = None, None
    if config.detector not in (None, LABELS):
        from vla_vision.detection.registry import load_detector

        detector = load_detector(config.detector, options=options, class_names=config.prompts)
    if config.depth not in (None, NONE, SENSOR):
        from vla_vision.depth.loading import load_depth

        depth = load_depth(config.depth)
    return detector, depth


def load_embedder(look: str) -> Embedder | None:
    """What describes looks.

    Args:
        look: "histogram", "none", or a file of weights (.safetensors).

    Raises:
        UnknownNameError: it is none of these.
        CheckpointError: the weights cannot be read.
    """
    if look == NONE:
        return None
    if look == HISTOGRAM:
        from vla_vision.tracking.embedders import HistogramEmbedder

        return HistogramEmbedder()
    if not look.endswith(".safetensors"):
        raise UnknownNameError("way to compare looks", look, (HISTOGRAM, NONE), where="look")
    from vla_vision.tracking.embedding_net import NetEmbedder

    return NetEmbedder.load(Path(look))
