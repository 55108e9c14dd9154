"""Stored features: one file a camera of an episode, in a directory that proves itself whole.

features/
  00000-corner.safetensors …   arrays of `FrameFeatures` and, of labelled episodes, `ClassTruth`
  index.json                   the feature configuration and a line a file
  manifest.json                sha256 of every file above
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import atomic_path, read_json, write_json
from vla_data.runs import make_manifest, verify
from vla_vision.encoder.config import FeatureConfig
from vla_vision.encoder.features import FrameFeatures, from_arrays
from vla_vision.encoder.truth import ClassTruth

INDEX, TRUTH, IDENTITY = "index.json", "truth.", "identity"
INFO = "info"


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip beside its arrays.

    Args:
        file: name within the directory.
        episode: number in its source; `id` as the source calls it.
        frame_rate: frames a second.
        depth: "sensor", "network" or "none".
        left_out: objects that found no row, over all frames.
    """

    file: str
    episode: int
    id: str
    camera: str
    frames: int
    frame_rate: float
    depth: str
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Clip:
    """The features of one camera of an episode, [T, …]; `truth` where the episode is labelled."""

    info: ClipInfo
    features: FrameFeatures
    truth: ClassTruth | None = None


@dataclass(frozen=True)
class _Index:
    features: FeatureConfig
    clips: tuple[ClipInfo, ...]


class FeatureStore(Sequence[Clip]):
    """The clips of a directory, read when indexed; picklable.

    Raises:
        CheckpointError: a file is missing or does not match its manifest.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        verify(directory)
        try:
            index = from_dict(_Index, read_json(directory / INDEX), str(directory / INDEX))
        except ConfigError as error:
            raise CheckpointError(
                "stored features of another layout", where=str(directory), got=str(error)
            ) from error
        self.config, self.clips = index.features, index.clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:  # type: ignore[override]
        info = self.clips[index]
        return read_clip(self.directory / info.file, info)


def save_clip(path: Path, clip: Clip, identity: str) -> None:
    """Write a clip atomically; `identity` says how it was made."""
    arrays = clip.features.arrays()
    if clip.truth is not None:
        arrays |= {TRUTH + f.name: getattr(clip.truth, f.name) for f in fields(clip.truth)}
    said = {IDENTITY: identity, INFO: json.dumps(to_dict(clip.info))}
    with atomic_path(path) as part:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, part, said)


def stored_info(path: Path, identity: str) -> ClipInfo | None:
    """What is known of the clip at `path`; None where there is none, or it was made otherwise."""
    try:
        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
        return from_dict(ClipInfo, json.loads(said[INFO])) if said.get(IDENTITY) == identity else None
    except (OSError, SafetensorError, KeyError, ValueError, ConfigError):
        return None


def read_clip(path: Path, info: ClipInfo) -> Clip:
    """A clip that `save_clip` wrote.

    Raises:
        CheckpointError: the file is missing or damaged.
        DataError: an array is missing.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            "stored features cannot be read",
            where=str(path),
            expected="a whole safetensors file",
            got=str(error),
            next_step="make them again: remove the directory and run the command that made it",
        ) from error
    names = [f.name for f in fields(ClassTruth)]
    known = all(TRUTH + name in arrays for name in names)
    truth = ClassTruth(**{name: arrays[TRUTH + name] for name in names}) if known else None
    return Clip(info, from_arrays(arrays), truth)


def finish_store(directory: Path, features: FeatureConfig, clips: Sequence[ClipInfo]) -> FeatureStore:
    """Write the index and manifest over clips that are there."""
    write_json(directory / INDEX, to_dict(_Index(features, tuple(clips))))
    make_manifest(directory, "features", features, summary={"clips": len(clips)}).save(directory)
    return FeatureStore(directory)
