"""What the records of a data set of our own hold: `vla.json`, and the feature tree it stands for.

`vla.json` lies beside `features.json`, where TFDS does not look. It carries what TFDS has no place for:
the robot, the cameras, and which columns are series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from vla_data.config import from_dict
from vla_data.errors import DataError
from vla_data.files import read_json
from vla_data.formats.features import MAX_NUMBERS, Branch, Feature, Leaf, Sequence, leaves
from vla_data.types import Camera, Episode, RobotSpec

FILE_NAME = "vla.json"
RESERVED = {"state"}  # names below `observation` that no camera may take
PICTURE = 1024  # numbers a step
RLDS_SERIES = ("reward", "discount", "is_first", "is_last", "is_terminal")


@dataclass(frozen=True)
class Column:
    """A series: dtype and shape of one step. A `packed` one is compressed, step by step."""

    dtype: str
    shape: tuple[int, ...] = ()
    packed: bool = False

    @classmethod
    def of(cls, values: np.ndarray) -> Column:
        """The column an array [T, …] fills; masks and other pictures are packed."""
        shape = values.shape[1:]
        picture = len(shape) == 2 and math.prod(shape) >= PICTURE and values.dtype.kind in "iub"
        return cls(values.dtype.name, shape, picture)


@dataclass(frozen=True)
class Schema:
    """The columns of a data set. Every episode of it has the same ones.

    Args:
        robot: whose action and state the numbers are.
        cameras: in order; each one's frames lie under `steps/observation/<name>`.
        image_encoding: of every camera.
        state_dim: width of the state, which is left out when it is 0.
        depth: camera name → its depth in metres, under `steps/observation/<name>_depth`.
        series: other columns, under `steps/series/<name>`; those RLDS itself names, under `steps/<name>`.
    """

    robot: RobotSpec
    cameras: tuple[Camera, ...]
    image_encoding: Literal["png", "jpeg"]
    state_dim: int
    depth: Mapping[str, Column] = field(default_factory=dict)
    series: Mapping[str, Column] = field(default_factory=dict)
    format: int = 1

    @classmethod
    def of(
        cls,
        episode: Episode,
        robot: RobotSpec,
        cameras: Mapping[str, Camera],
        image_encoding: Literal["png", "jpeg"],
    ) -> Schema:
        """The schema that an episode shows."""
        return cls(
            robot=robot,
            cameras=tuple(cameras.values()),
            image_encoding=image_encoding,
            state_dim=episode.state.shape[1],
            depth={name: Column("float32", v.shape[1:]) for name, v in sorted(episode.depth.items())},
            series={name: Column.of(np.asarray(v)) for name, v in sorted(episode.series.items())},
        )

    @classmethod
    def load(cls, path: Path) -> Schema:
        """What `finish_dataset` wrote.

        Raises:
            DataError: the file is missing, is not JSON, or names columns no array has.
            ConfigError: it is not a schema.
        """
        content = read_json(path)
        inner = content.get("schema") if isinstance(content, dict) else None
        schema = from_dict(cls, inner, where=str(path))
        for name, column in {**schema.depth, **schema.series}.items():
            _check_column(column, f"{path}, column {name!r}")
        return schema

    def tree(self) -> Branch:
        """The feature tree, nested as its keys say."""
        root: dict = {}
        for key, feature in self._columns():
            _insert(root, key.split("/"), feature)
        steps = Sequence(_branch(root), dataset=True)
        return Branch({"steps": steps, "episode_metadata": EPISODE_METADATA})

    def leaves(self) -> dict[str, Leaf]:
        """Flat key → leaf."""
        return dict(leaves(self.tree()))

    def series_key(self, name: str) -> str:
        """Where a series lies."""
        return f"steps/{name}" if name in RLDS_SERIES else f"steps/series/{name}"

    def _columns(self) -> list[tuple[str, Feature]]:
        columns: list[tuple[str, Feature]] = [
            ("action", _number("float32", (self.robot.action.dim,), _action_words(self.robot))),
            ("timestamp", _number("float64", (), "seconds since the episode began")),
            ("language_instruction", Leaf("text", dtype="string")),
            *(
                (name, Leaf("tensor", (), dtype))
                for name, dtype in zip(RLDS_SERIES, _RLDS_TYPES, strict=True)
            ),
        ]
        if self.state_dim:
            words = ", ".join(f"{d.name} [{d.unit}]" for d in self.robot.state)
            columns.append(("observation/state", Leaf("tensor", (self.state_dim,), description=words)))
        for camera in self.cameras:
            shape = (camera.height, camera.width, 3)
            columns.append((f"observation/{camera.name}", Leaf("image", shape, "uint8", self.image_encoding)))
        for name, column in self.depth.items():
            leaf = Leaf("tensor", column.shape, "float32", "zlib", "metres")
            columns.append((f"observation/{name}_depth", leaf))
        for name, column in self.series.items():
            leaf = _number(column.dtype, column.shape)
            leaf = replace(leaf, encoding="zlib") if column.packed else leaf
            columns.append((self.series_key(name).removeprefix("steps/"), leaf))
        return columns


_RLDS_TYPES = ("float32", "float32", "bool", "bool", "bool")
EPISODE_METADATA = Branch(
    {
        "episode_id": Leaf("text", dtype="string"),
        "paraphrases": Sequence(Leaf("text", dtype="string"), description="other wordings"),
        "substeps": Sequence(
            Branch(
                {
                    "start": Leaf("tensor", (), "int64"),
                    "stop": Leaf("tensor", (), "int64"),
                    "text": Leaf("text", dtype="string"),
                }
            ),
            description="what happened in steps [start, stop)",
        ),
        "metadata_json": Leaf("text", dtype="string", description="plain values about the episode"),
        "cameras_json": Leaf("text", dtype="string", description="cameras that differ from vla.json's"),
    }
)


def _check_column(column: Column, where: str) -> None:
    try:
        np.dtype(column.dtype)
        fits = 0 <= math.prod(column.shape) <= MAX_NUMBERS and min(column.shape, default=0) >= 0
    except TypeError:
        fits = False
    if not fits:
        raise DataError(
            "a column of a kind that no array has",
            where=where,
            expected="a dtype that numpy knows and a shape that memory holds",
            got=f"{column.dtype} {list(column.shape)}",
        )


def _number(dtype: str, shape: tuple[int, ...], description: str = "") -> Leaf:
    """A column that comes back bit for bit: a tf.train.Example itself has no floats but float32."""
    kind = np.dtype(dtype)
    plain = (kind.kind in "iub" and kind != np.uint64) or kind == np.float32
    filled = 0 not in shape
    return Leaf("tensor", shape, dtype, "none" if plain and filled else "bytes", description)


def _action_words(robot: RobotSpec) -> str:
    return ", ".join(f"{d.name} ({d.mode} {d.quantity}, {d.frame}) [{d.unit}]" for d in robot.action.dims)


def _insert(root: dict, parts: list[str], feature: Feature) -> None:
    *parents, last = parts
    node = root
    for part in parents:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise _clash(parts)
    if isinstance(node.get(last), dict):
        raise _clash(parts)
    node[last] = feature


def _branch(node: dict) -> Branch:
    return Branch({k: _branch(v) if isinstance(v, dict) else v for k, v in node.items()})


def _clash(parts: list[str]) -> DataError:
    return DataError(
        "one column's name lies inside another's",
        where="/".join(parts),
        expected="names of which none is a parent of another",
        next_step="rename the camera or series",
    )
