"""`meta/info.json` of a LeRobotDataset v3.0: features, splits, and where the files lie.

The format is that of lerobot 0.4 (`codebase_version` "v3.0"): many episodes a file, Parquet for numbers and
embedded images, mp4 for video, and a table of episodes that says which rows and seconds are whose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import DataError, UnknownNameError
from vla_data.files import inside, read_json

INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
SUBTASKS, EPISODES = "meta/subtasks.parquet", "meta/episodes"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = EPISODES + "/" + FILE + ".parquet"
DATA_PATH = "data/" + FILE + ".parquet"
VIDEO_PATH = "videos/{video_key}/" + FILE + ".mp4"
VERSION = "v3.0"
INDEX = ("timestamp", "frame_index", "episode_index", "index", "task_index")
PICTURES = ("image", "video")
_TEMPLATE = re.compile(r"(?:[^{}]|\{(?:video_key|chunk_index|file_index)(?::0?\d?d)?\})+")


@dataclass(frozen=True)
class Feature:
    """A column: numpy's name of its dtype ("image", "video" and "string" beside), the shape of one step."""

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        return self.dtype not in (*PICTURES, "string")

    @property
    def width(self) -> int:
        """Numbers in one step."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Info:
    """What info.json declares; `splits` maps a split to its range of episodes."""

    root: Path
    fps: float
    robot: str
    features: dict[str, Feature]
    splits: dict[str, range]
    episodes: int
    data_path: str
    video_path: str

    @classmethod
    def read(cls, root: Path) -> Info:
        """Raises DataError when the file is missing, damaged, of another version, or points elsewhere."""
        path = inside(root, INFO, root)
        data = read_json(path)
        try:
            _require_version(str(data["codebase_version"]), path)
            episodes = int(data["total_episodes"])
            return cls(
                root,
                _rate(data["fps"]),
                str(data.get("robot_type") or "unknown"),
                {str(k): _feature(v) for k, v in data["features"].items()},
                _splits(data.get("splits") or {}, episodes),
                episodes,
                _template(data.get("data_path") or DATA_PATH, path),
                _template(data.get("video_path") or VIDEO_PATH, path),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                "info.json lacks what a reader needs",
                where=str(path),
                expected="codebase_version, fps, total_episodes, features and splits",
                got=f"{type(error).__name__}: {error}",
            ) from error

    def split(self, name: str) -> range:
        """The episodes of a split; raises UnknownNameError when there is none of that name."""
        if name not in self.splits:
            raise UnknownNameError("split", name, self.splits, where=str(self.root))
        return self.splits[name]

    def data_file(self, chunk: int, file: int) -> Path:
        """Where the numbers of a file's episodes lie."""
        return self._file(self.data_path, chunk_index=chunk, file_index=file)

    def video_file(self, key: str, chunk: int, file: int) -> Path:
        """Where the frames of a file's episodes lie."""
        return self._file(self.video_path, video_key=key, chunk_index=chunk, file_index=file)

    def pictures(self) -> dict[str, Feature]:
        """The features that are colour images."""
        kept = {k: f for k, f in self.features.items() if f.dtype in PICTURES and len(f.shape) == 3}
        return {k: f for k, f in kept.items() if not f.info.get("video.is_depth_map")}

    def _file(self, template: str, **parts: Any) -> Path:
        return inside(self.root, template.format(**parts), self.root / INFO)


def camera_name(key: str) -> str:
    """The camera behind a feature of images."""
    return key.removeprefix("observation.").removeprefix("images.")


def size_of(feature: Feature) -> tuple[int, int]:
    """(height, width) of a feature of images, which some data sets declare with the channels first."""
    first = feature.shape[0] in (1, 3, 4) and feature.shape[2] not in (1, 3, 4)
    height, width = feature.shape[1:] if first else feature.shape[:2]
    return height, width


def _require_version(version: str, path: Path) -> None:
    if not re.match(r"v?3(\.|$)", version):
        raise DataError(
            "a LeRobot data set of another version",
            where=str(path),
            expected=f"codebase_version {VERSION}",
            got=version,
            next_step="convert it with lerobot: python -m lerobot.datasets.v30.convert_dataset_v21_to_v30",
        )


def _rate(value: Any) -> float:
    rate = float(value)
    if not 0 < rate < 1e6:
        raise ValueError(f"fps is {value}")
    return rate


def _feature(entry: Mapping[str, Any]) -> Feature:
    shape = tuple(int(n) for n in entry["shape"])
    if any(n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    return Feature(str(entry["dtype"]), shape, tuple(_flat(entry.get("names"))), entry.get("info") or {})


def _flat(names: Any) -> Iterable[str]:
    """Names are a list, lists under group names, or nothing."""
    if isinstance(names, Mapping):
        names = [n for group in names.values() for n in (group if isinstance(group, list) else [group])]
    return map(str, names or ())


def _splits(entries: Mapping[str, str], episodes: int) -> dict[str, range]:
    found = {}
    for name, text in (entries or {"train": f"0:{episodes}"}).items():
        first, _, last = str(text).partition(":")
        found[name] = range(int(first), int(last))
        if not 0 <= int(first) <= int(last) <= episodes:
            raise ValueError(f"split {name} is {text} of {episodes} episodes")
    return found


def _template(text: str, path: Path) -> str:
    if _TEMPLATE.fullmatch(text):
        return text
    raise DataError(
        "info.json names its files by a template that is not one",
        where=str(path),
        expected=f"such as {DATA_PATH}",
        got=repr(text[:80]),
    )
