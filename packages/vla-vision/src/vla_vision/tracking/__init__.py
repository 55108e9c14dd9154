"""Which detection is which thing over time: DeepSORT, how things look, sources of frames, files of tracks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.tracking.config import PRESETS, TrackerConfig
    from vla_vision.tracking.drawing import TrackPainter
    from vla_vision.tracking.embedders import HistogramEmbedder
    from vla_vision.tracking.embedding_net import EmbeddingNet, NetEmbedder
    from vla_vision.tracking.loop import Pipeline, TrackSummary, track_frames, track_source
    from vla_vision.tracking.mot_file import MotRows, SequenceInfo, read_mot, read_sequence_info
    from vla_vision.tracking.sinks import Outputs
    from vla_vision.tracking.sources import (
        CameraFeed,
        EpisodeFrames,
        FrameSource,
        MotFrames,
        SourceFrame,
        VideoFile,
    )
    from vla_vision.tracking.tracker import Tracker

_LAZY = {
    "CameraFeed": "sources",
    "EmbeddingNet": "embedding_net",
    "EpisodeFrames": "sources",
    "FrameSource": "sources",
    "HistogramEmbedder": "embedders",
    "MotFrames": "sources",
    "MotRows": "mot_file",
    "NetEmbedder": "embedding_net",
    "Outputs": "sinks",
    "PRESETS": "config",
    "Pipeline": "loop",
    "SequenceInfo": "mot_file",
    "SourceFrame": "sources",
    "TrackPainter": "drawing",
    "TrackSummary": "loop",
    "Tracker": "tracker",
    "TrackerConfig": "config",
    "VideoFile": "sources",
    "read_mot": "mot_file",
    "read_sequence_info": "mot_file",
    "track_frames": "loop",
    "track_source": "loop",
}

__all__ = [
    "PRESETS",
    "CameraFeed",
    "EmbeddingNet",
    "EpisodeFrames",
    "FrameSource",
    "HistogramEmbedder",
    "MotFrames",
    "MotRows",
    "NetEmbedder",
    "Outputs",
    "Pipeline",
    "SequenceInfo",
    "SourceFrame",
    "TrackPainter",
    "TrackSummary",
    "Tracker",
    "TrackerConfig",
    "VideoFile",
    "read_mot",
    "read_sequence_info",
    "track_frames",
    "track_source",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.tracking.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
