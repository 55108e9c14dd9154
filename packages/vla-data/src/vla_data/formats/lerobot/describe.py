"""The features of a LeRobot data set as rows a person can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.describe import FeatureRow, shorten
from vla_data.formats.lerobot.info import Feature, camera_name
from vla_data.images import EncodedImages, size, sniff

if TYPE_CHECKING:
    from vla_data.formats.lerobot.reader import LeRobotReader

STORED = {"image": "image in Parquet", "video": "mp4"}


def feature_rows(reader: LeRobotReader) -> list[FeatureRow]:
    """One row a feature, in the order of keys."""
    roles = reader.door.roles
    return [_row(reader, key, f, roles.get(key, "")) for key, f in sorted(reader.info.features.items())]


def _row(reader: LeRobotReader, key: str, feature: Feature, role: str) -> FeatureRow:
    shape = () if feature.shape == (1,) else feature.shape
    sizes = ", ".join(["T", *map(str, shape)])
    picture = feature.dtype in STORED
    kind = "image" if picture else "text" if feature.dtype == "string" else "tensor"
    dtype = "uint8" if picture else feature.dtype
    encoding, example = STORED.get(feature.dtype, "none"), ""
    if len(reader):
        try:
            encoding, example = _look(reader, key, feature, encoding)
        except DataError as error:
            example = f"({error.message})"
    return FeatureRow(key, kind, f"[{sizes}]", dtype, encoding, example, role)


def _look(reader: LeRobotReader, key: str, feature: Feature, encoding: str) -> tuple[str, str]:
    """How the first episode stores a feature, and an example of it."""
    episode = reader.split_range[0]
    if feature.dtype in STORED and camera_name(key) in reader.door.pictures:
        frames: Any = reader.frames(camera_name(key), episode)
        if isinstance(frames, EncodedImages):
            height, width = size(frames.frames[0], key)
            text = f"{len(frames)} frames of {height}×{width}, the first {len(frames.frames[0]):,} bytes"
            return f"{sniff(frames.frames[0])} in Parquet", text
        height, width = frames.shape
        return (
            f"{feature.info.get('video.codec', '')} {encoding}".strip(),
            f"{len(frames)} frames of {height}×{width}",
        )
    if not feature.is_number:
        return encoding, ""
    value = reader.numbers(episode, [key])[key]
    if key == "task_index":
        return encoding, shorten(reader.index.tasks.get(int(np.ravel(value)[0]), ""))
    return encoding, shorten(value)
