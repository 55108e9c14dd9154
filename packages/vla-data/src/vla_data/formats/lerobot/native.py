"""Data sets of our own in LeRobot's form: what the format has no place for lies in `meta/vla.json`.

The robot, the cameras with their intrinsics, which columns are series and their exact shapes are there; of
each episode its id, metadata, other wordings, sub-steps and cameras are one JSON text in the table of
episodes. Exact times are a column of their own, since the format's timestamps are float32 multiples of 1/fps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import inside, read_json
from vla_data.formats.lerobot.info import INFO, Feature
from vla_data.formats.lerobot.parquet import REFETCH
from vla_data.formats.rlds.schema import Column, Schema
from vla_data.types import Camera, Episode, RobotSpec, SubStep

FILE_NAME = "meta/vla.json"
ACTION, STATE, TIME = "action", "observation.state", "time"
SUBTASK = "subtask_index"
PICTURE, DEPTH, SERIES = "observation.images.", "depth.", "series."
# What both sides have a name for; a reward follows the action, hence "next".
SHARED = {"reward": "next.reward", "success": "next.success", "done": "next.done"}


@dataclass(frozen=True)
class Native:
    """What `meta/vla.json` holds.

    Args:
        name: of the data set.
        schema: robot, cameras and columns of every episode.
        rate_assumed: nobody wrote down what the action means.
        columns: series and depth, as `series/<name>` and `depth/<name>` → the column that holds it; those
            without a single number have none.
        files: path below the root → its bytes.
    """

    name: str
    schema: Schema
    rate_assumed: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    format: int = 1

    @classmethod
    def read(cls, root: Path) -> Native | None:
        """None for a data set that others wrote; raises DataError when files are not as they were written."""
        path = root / FILE_NAME
        if not path.is_file():
            return None
        try:
            native = from_dict(cls, read_json(path), where=str(path))
        except ConfigError as error:
            raise DataError("vla.json cannot be read", where=str(path), got=str(error)) from error
        for name, size in native.files.items():
            file = inside(root, name, path)
            found = file.stat().st_size if file.is_file() else None
            if found != size:
                raise _changed(file, size, found)
        return native

    @property
    def robot(self) -> RobotSpec:
        return self.schema.robot

    @property
    def cameras(self) -> dict[str, Camera]:
        return {c.name: c for c in self.schema.cameras}

    @property
    def pictures(self) -> dict[str, str]:
        """Camera → the feature of its images."""
        return {c.name: PICTURE + c.name for c in self.schema.cameras}

    @property
    def roles(self) -> dict[str, str]:
        """Feature → what it is in this suite's vocabulary."""
        named = {ACTION: "action", STATE: "state", TIME: "time", "task_index": "instruction"}
        named |= {key: f"camera {name}" for name, key in self.pictures.items()}
        return named | {column: name.replace("/", " ", 1) for name, column in self.columns.items()}

    def wanted(self, images: bool) -> list[str]:
        """The columns of numbers an episode is made of."""
        schema = self.schema
        fixed = [TIME, *([ACTION] if schema.robot.action.dim else []), *([STATE] if schema.state_dim else [])]
        kept = [c for n, c in self.columns.items() if images or not n.startswith("depth/")]
        return [*fixed, *kept]

    def episode(
        self, numbers: Mapping[str, np.ndarray], instruction: str, extra: str, **rest: Any
    ) -> Episode:
        """The episode that these columns are; `rest` holds its images and whether it is wanted `whole`."""
        steps, said, schema, whole = len(numbers[TIME]), json.loads(extra), self.schema, rest["whole"]
        none = np.zeros((steps, 0), np.float32)
        known = [from_dict(Camera, c) for c in said["cameras"]]
        return Episode(
            id=said["id"],
            robot=schema.robot,
            action=numbers.get(ACTION, none).reshape(steps, schema.robot.action.dim),
            state=numbers.get(STATE, none).reshape(steps, schema.state_dim),
            time=numbers[TIME],
            images=rest["images"],
            instruction=instruction,
            paraphrases=tuple(said["paraphrases"]),
            depth={
                n: self._column(f"depth/{n}", c, numbers, steps) for n, c in schema.depth.items() if whole
            },
            substeps=tuple(SubStep(*s) for s in said["substeps"]),
            cameras={c.name: c for c in known} or self.cameras,
            series={n: self._column(f"series/{n}", c, numbers, steps) for n, c in schema.series.items()},
            metadata=said["metadata"],
        )

    def _column(self, name: str, column: Column, numbers: Mapping[str, np.ndarray], steps: int) -> np.ndarray:
        key = self.columns.get(name)
        if key is None or key not in numbers:
            return np.zeros((steps, *column.shape), column.dtype)
        return numbers[key].reshape(steps, *column.shape)


def column_names(schema: Schema) -> dict[str, str]:
    """`series/<name>` and `depth/<name>` → a name the format allows, no two the same."""
    found: dict[str, str] = {}
    for kind, prefix, columns in (("series", SERIES, schema.series), ("depth", DEPTH, schema.depth)):
        for name, column in columns.items():
            if 0 in column.shape:
                continue
            key = SHARED.get(name, prefix + name.replace("/", ".")) if kind == "series" else prefix + name
            while key in found.values():
                key += "_"
            found[f"{kind}/{name}"] = key
    return found


def features(schema: Schema, columns: Mapping[str, str], video: bool) -> dict[str, Feature]:
    """Every feature of a data set of our own, those of the format itself apart."""
    robot = schema.robot
    found = {TIME: Feature("float64", (1,))}
    if robot.action.dim:
        found[ACTION] = Feature("float32", (robot.action.dim,), tuple(d.name for d in robot.action.dims))
    if schema.state_dim:
        found[STATE] = Feature("float32", (schema.state_dim,), tuple(d.name for d in robot.state))
    for camera in schema.cameras:
        shape, names = (camera.height, camera.width, 3), ("height", "width", "channels")
        found[PICTURE + camera.name] = Feature("video" if video else "image", shape, names)
    for name, key in columns.items():
        kind, _, rest = name.partition("/")
        column = (schema.series if kind == "series" else schema.depth)[rest]
        found[key] = Feature(column.dtype, column.shape or (1,))
    return found


def episode_text(episode: Episode, schema: Schema) -> str:
    """What the format has no place for, of one episode.

    Raises:
        DataError: its metadata are not plain values.
    """
    known = tuple(episode.cameras.values())
    said = {
        "id": episode.id,
        "paraphrases": episode.paraphrases,
        "substeps": [(s.start, s.stop, s.text) for s in episode.substeps],
        "metadata": dict(episode.metadata),
        "cameras": [] if known == schema.cameras else to_dict(known),
    }
    try:
        return json.dumps(said, allow_nan=False, default=lambda scalar: scalar.item())
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            "metadata of an episode cannot be written",
            where=f"episode {episode.id}",
            expected="texts, finite numbers and booleans",
            got=str(error),
        ) from error


def written_files(root: Path) -> dict[str, int]:
    """Path → bytes of every file but the two that say what the others are."""
    paths: Iterable[Path] = sorted(p for p in root.rglob("*") if p.is_file())
    named = {p.relative_to(root).as_posix(): p.stat().st_size for p in paths}
    return {n: s for n, s in named.items() if n not in (INFO, FILE_NAME)}


def _changed(file: Path, size: int, found: int | None) -> DataError:
    return DataError(
        "a file of a data set is not as it was written",
        where=str(file),
        expected=f"{size} bytes, as {FILE_NAME} says",
        got="no file" if found is None else f"{found} bytes",
        next_step=f"{REFETCH}; a data set that lerobot itself changed is read without its {FILE_NAME}",
    )
