"""Videos and episodes into tokens, and how fast that was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.usable import episode_at
from vla_vision.encoder.extraction import require_classes
from vla_vision.encoder.extractor import FeatureExtractor
from vla_vision.encoder.features import FrameFeatures
from vla_vision.encoder.stream import TokenStream
from vla_vision.encoder.token_file import ARRAYS, VideoInfo, VideoTokens
from vla_vision.encoder.tokens import Tokens
from vla_vision.encoder.video_encoder import VideoEncoder
from vla_vision.perception.sight import Sight, depth_origin
from vla_vision.stopwatch import Stopwatch
from vla_vision.tracking.sources import EpisodeFrames, FrameSource

READING = "read"


@dataclass(frozen=True, eq=False)
class Video:
    """Frames to encode; `episode`: its number, where they are of one."""

    frames: FrameSource
    episode: int | None = None


@dataclass
class _Gathered:
    """Rows of `VideoTokens` while they come in; `objects`: there are tokens of objects."""

    objects: bool
    rows: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in ARRAYS})
    videos: list[VideoInfo] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows["time"])

    def add(self, tokens: Tokens, features: FrameFeatures) -> None:
        ids = np.zeros(tokens.mask.shape[1], np.int64)
        if self.objects:  # whose tokens come first
            ids[: len(features.objects.ids)] = features.objects.ids
        arrays = (tokens.values[0].float(), tokens.mask[0], tokens.slots[0])
        values = [a.cpu().numpy() for a in arrays]
        for name, value in zip(ARRAYS, (*values, ids, features.time, len(self.videos)), strict=True):
            self.rows[name].append(np.asarray(value))

    def whole(self) -> VideoTokens:
        arrays = {name: np.stack(rows) for name, rows in self.rows.items()}
        arrays["video"] = arrays["video"].astype(np.int64)
        return VideoTokens(**arrays, videos=tuple(self.videos))


def encode_videos(
    videos: Iterable[Video],
    encoder: VideoEncoder,
    sight: Sight,
    *,
    intrinsics: object | None = None,
    device: str = "cpu",
    limit: int | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[VideoTokens, dict[str, Any]]:
    """Perceive and encode videos one after the other, as a running robot would.

    Args:
        videos: are read one at a time.
        intrinsics: of the camera, for those that do not know them.
        limit: frames of each video.

    Returns:
        The tokens, and a summary of plain values with rates and times.

    Raises:
        ConfigError: the detector knows none of the encoder's classes.
        DataError: there is no frame, or one cannot be read.
    """
    features = encoder.config.features
    if sight.models.detector is not None and encoder.config.has_objects:
        require_classes(features.class_names, sight.class_names)
    extractor, stream = FeatureExtractor(features), TokenStream(encoder, device)
    gathered, watch = _Gathered(encoder.config.has_objects), Stopwatch()
    for video in videos:
        start, source = len(gathered), video.frames
        stream.reset()
        extractor.reset()
        for percept in islice(sight.look(source, intrinsics, watch), limit):
            frame = extractor.update(percept)
            watch.lap("features")
            tokens = stream.update(frame)
            watch.lap("encode")
            gathered.add(tokens, frame)
            on_progress(Progress("encode", len(gathered), None, "frames"))
        watch.stop()
        gathered.videos.append(_info(video, sight, start, len(gathered)))
    if not len(gathered):
        raise DataError("there is no frame to encode", expected="at least one", got="none")
    found = gathered.whole()
    return found, _summary(found, encoder, extractor, watch)


def episode_videos(
    source: EpisodeSource, sight: Sight, episodes: Iterable[int], camera: str | None = None
) -> Iterator[Video]:
    """Every camera of these episodes, or the one that is named, as videos.

    Raises:
        ConfigError: there is no such episode or camera.
    """
    for index in episodes:
        episode = episode_at(source, index)
        for name in [camera] if camera is not None else sorted(episode.images):
            yield Video(sight.source(episode, name), index)


def _info(video: Video, sight: Sight, start: int, stop: int) -> VideoInfo:
    source = video.frames
    camera = source.camera if isinstance(source, EpisodeFrames) else None
    depth = depth_origin(sight.config, source)
    return VideoInfo(source.name, start, stop, float(source.frame_rate), depth, video.episode, camera)


def _summary(
    found: VideoTokens, encoder: VideoEncoder, extractor: FeatureExtractor, watch: Stopwatch
) -> dict[str, Any]:
    frames, tokens = len(found.time), encoder.tokens_per_frame
    seconds = sum(watch.frames) - watch.seconds.get(READING, 0.0)
    rates = [v.frame_rate for v in found.videos]
    return {
        "videos": len(found.videos),
        "frames": frames,
        "tokens_per_frame": tokens,
        "token_width": encoder.config.width,
        "valid_tokens_per_frame": round(float(found.mask.sum(1).mean()), 2),
        "tokens_per_second_of_video": round(tokens * float(np.mean(rates)), 1),
        "depth": sorted({v.depth for v in found.videos}),
        "objects_without_a_row": extractor.left_out,
        "rate": round(frames / seconds, 1) if seconds > 0 else 0.0,
        "tokens_per_second": round(frames * tokens / seconds, 1) if seconds > 0 else 0.0,
        "stages": watch.table(),
    }
