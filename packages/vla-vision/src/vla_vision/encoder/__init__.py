"""Frames into tokens that a language model reads: of objects, of patches, or both."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.encoder.checkpoint import EncoderRecord, load_encoder, require_same_features, save_encoder
    from vla_vision.encoder.clips import Clip, FeatureStore
    from vla_vision.encoder.config import EncoderConfig, FeatureConfig
    from vla_vision.encoder.encoding import Video, encode_videos, episode_videos
    from vla_vision.encoder.extraction import ExtractConfig, extract_features
    from vla_vision.encoder.extractor import FeatureExtractor
    from vla_vision.encoder.features import FrameFeatures, ObjectTable, stack
    from vla_vision.encoder.stream import TokenStream
    from vla_vision.encoder.token_file import VideoTokens, read_tokens, write_tokens
    from vla_vision.encoder.tokens import Tokens, to_batch
    from vla_vision.encoder.train_config import TrainEncoderConfig
    from vla_vision.encoder.training import train_encoder
    from vla_vision.encoder.video_encoder import VideoEncoder

_WHERE = {
    "checkpoint": ("EncoderRecord", "load_encoder", "require_same_features", "save_encoder"),
    "clips": ("Clip", "FeatureStore"),
    "config": ("EncoderConfig", "FeatureConfig"),
    "encoding": ("Video", "encode_videos", "episode_videos"),
    "extraction": ("ExtractConfig", "extract_features"),
    "extractor": ("FeatureExtractor",),
    "features": ("FrameFeatures", "ObjectTable", "stack"),
    "stream": ("TokenStream",),
    "token_file": ("VideoTokens", "read_tokens", "write_tokens"),
    "tokens": ("Tokens", "to_batch"),
    "train_config": ("TrainEncoderConfig",),
    "training": ("train_encoder",),
    "video_encoder": ("VideoEncoder",),
}
_LAZY = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Clip",
    "EncoderConfig",
    "EncoderRecord",
    "ExtractConfig",
    "FeatureConfig",
    "FeatureExtractor",
    "FeatureStore",
    "FrameFeatures",
    "ObjectTable",
    "TokenStream",
    "Tokens",
    "TrainEncoderConfig",
    "Video",
    "VideoEncoder",
    "VideoTokens",
    "encode_videos",
    "episode_videos",
    "extract_features",
    "load_encoder",
    "read_tokens",
    "require_same_features",
    "save_encoder",
    "stack",
    "to_batch",
    "train_encoder",
    "write_tokens",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.encoder.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
