"""Files of tokens: .npz or .safetensors, with times, masks and identities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import atomic_path

ARRAYS = ("tokens", "mask", "slots", "ids", "time", "video")
METADATA = "metadata"
ENDINGS = (".npz", ".safetensors")


@dataclass(frozen=True)
class VideoInfo:
    """A video among the tokens: frames [start, stop). `depth`: "network", "sensor" or "none"."""

    name: str
    start: int
    stop: int
    frame_rate: float
    depth: str
    episode: int | None = None
    camera: str | None = None


@dataclass(frozen=True, eq=False)
class VideoTokens:
    """The tokens of T frames of one or more videos.

    Args:
        tokens: values; zeros where the mask is false.
        mask: which stand for something.
        slots: the same object has the same one while it lives; -1 for patch tokens.
        ids: of the tracker, never given twice within a video; 0 where the token is no object.
        time: seconds, within its video.
        video: index into `videos`.
    """

    tokens: Float32[np.ndarray, "t n width"]
    mask: Bool[np.ndarray, "t n"]
    slots: Int64[np.ndarray, "t n"]
    ids: Int64[np.ndarray, "t n"]
    time: Float64[np.ndarray, "t"]
    video: Int64[np.ndarray, "t"]
    videos: tuple[VideoInfo, ...]


def write_tokens(path: Path, found: VideoTokens) -> None:
    """Write tokens as .npz or .safetensors; the file appears only when whole.

    Raises:
        ConfigError: the name ends in neither.
    """
    require_ending(path)
    arrays = {name: np.ascontiguousarray(getattr(found, name)) for name in ARRAYS}
    said = json.dumps([to_dict(v) for v in found.videos])
    with atomic_path(path) as part:
        if path.suffix == ".npz":
            content: dict[str, Any] = {**arrays, METADATA: np.array(said)}
            with part.open("wb") as handle:
                np.savez(handle, **content)
        else:
            from safetensors.numpy import save_file

            save_file(arrays, part, {METADATA: said})


def read_tokens(path: Path) -> VideoTokens:
    """What `write_tokens` wrote.

    Raises:
        CheckpointError: the file is missing, damaged or of something else.
    """
    require_ending(path)
    try:
        arrays, said = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
        videos = tuple(from_dict(VideoInfo, v) for v in json.loads(said))
        return VideoTokens(**{name: arrays[name] for name in ARRAYS}, videos=videos)
    except (OSError, ValueError, KeyError, EOFError, ConfigError) as error:
        raise CheckpointError(
            "a file of tokens cannot be read",
            where=str(path),
            expected="what vla vision encode writes",
            got="no file" if not path.exists() else str(error),
        ) from error


def require_ending(path: Path) -> None:
    """Raise ConfigError unless a file of tokens can have this name."""
    if path.suffix not in ENDINGS:
        raise ConfigError(
            "a file of tokens is of another kind",
            where=str(path),
            expected="a name that ends in " + " or ".join(ENDINGS),
            got=path.suffix or "no ending",
        )


def _read_npz(path: Path) -> tuple[dict[str, np.ndarray], str]:
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}, str(file[METADATA])
    except BadZipFile as error:
        raise ValueError(str(error)) from error


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in ARRAYS}, (file.metadata() or {})[METADATA]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
