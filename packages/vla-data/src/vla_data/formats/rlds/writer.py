"""Writing a data set in TFDS layout, one shard a writer.

Each shard lies under its final name when it is whole, with its schema in a hidden file beside it until
`finish_dataset` turns all of them into `features.json`, `vla.json` and, last, `dataset_info.json`.
So shards can be written by different processes, in any order, and an interrupted run knows what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from vla_data.config import to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import write_json
from vla_data.formats.example import serialise
from vla_data.formats.rlds.layout import SHARD_NAME, shard_path
from vla_data.formats.rlds.native import check_episode, encode_episode
from vla_data.formats.rlds.schema import RESERVED, Schema
from vla_data.formats.tfrecord import RecordWriter
from vla_data.images import ImageEncoding
from vla_data.types import Camera, Episode, RobotSpec


class RldsWriter:
    """Writes one shard; an `EpisodeWriter`.

    Args:
        directory: the data set's version directory, by custom `<root>/<name>/<version>`.
        name: of the data set; lower case letters, digits and underscores.
        robot: whose action and state every episode carries.
        cameras: name → camera; the frames of every episode have these names and sizes.
        version: kept for the info file.
        split: train, val, test, …
        shard: (index, total).
        image_encoding: png loses nothing; jpeg is smaller.

    Raises:
        ConfigError: a name cannot be part of a file name or key, or the shard's numbers make no sense.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        robot: RobotSpec,
        cameras: Mapping[str, Camera],
        *,
        version: str = "1.0.0",
        split: str = "train",
        shard: tuple[int, int] = (0, 1),
        image_encoding: ImageEncoding = "png",
    ) -> None:
        self.path = shard_path(Path(directory), name, split, *shard)
        _check_names(name, split, shard, cameras)
        self.version = version
        self._robot, self._cameras = robot, dict(cameras)
        self._encoding: ImageEncoding = image_encoding
        self._schema: Schema | None = None
        self._records = RecordWriter(self.path)

    def write(self, episode: Episode) -> None:
        """Append an episode.

        Raises:
            DataError: it does not fit the data set, or the disk is full.
        """
        if self._schema is None:
            self._schema = Schema.of(episode, self._robot, self._cameras, self._encoding)
        check_episode(episode, self._schema)
        self._records.write(serialise(encode_episode(episode, self._schema)))

    def close(self) -> None:
        """Give the shard its name.

        Raises:
            DataError: no episode was written, or the disk is full.
        """
        if self._schema is None:
            error = DataError("a shard without episodes", where=str(self.path), expected="at least one")
            self._records.abandon(error)
            raise error
        sidecar = schema_path(self.path)
        try:
            write_json(sidecar, {"version": self.version, "schema": to_dict(self._schema)})
            self._records.close()
        except OSError as error:
            raise self._records.abandon(error) from error
        except DataError:
            sidecar.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        error = exc[1]
        if isinstance(error, BaseException):
            self._records.abandon(error)
        else:
            self.close()


def schema_path(shard: Path) -> Path:
    """Where the schema of a shard waits for `finish_dataset`."""
    return shard.with_name(f".{shard.name}.schema.json")


def _check_names(name: str, split: str, shard: tuple[int, int], cameras: Mapping[str, Camera]) -> None:
    index, total = shard
    if not SHARD_NAME.fullmatch(f"{name}-{split}.tfrecord-{index:05d}-of-{total:05d}"):
        raise ConfigError("a data set or split of that name cannot be written", got=f"{name!r}, {split!r}")
    if not name.isidentifier() or not split.isidentifier() or not 0 <= index < total:
        raise ConfigError(
            "a data set, split or shard of that name cannot be written",
            where="RldsWriter",
            expected="letters, digits and underscores, and 0 <= index < total",
            got=f"{name!r}, {split!r}, {shard}",
        )
    for key, camera in cameras.items():
        if key != camera.name or key in RESERVED or "/" in key or not key or key.endswith("_depth"):
            raise ConfigError(
                "a camera of that name cannot be written",
                where="RldsWriter",
                expected=f"its own name, without '/', not ending in _depth, none of: {', '.join(RESERVED)}",
                got=f"{key!r} for camera {camera.name!r}",
            )
