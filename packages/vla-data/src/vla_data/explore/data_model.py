"""What a data set holds: keys, shapes, dtypes, encodings, an example of each, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_data.config import to_dict
from vla_data.explore.findings import find_warnings
from vla_data.formats import find_format, open_episodes
from vla_data.formats.describe import FeatureRow, SplitRow
from vla_data.formats.locate import locate, to_path
from vla_data.report import Code, Section, Table, Text
from vla_data.types import ActionDim, Camera, StateDim


@dataclass(frozen=True)
class DataModel:
    """The data model of a data set as one of its splits shows it.

    Args:
        features: every stored value; `role` says what it is in this suite's vocabulary.
        control_hz: None when the data set does not tell and nothing is known of it.
        warnings: what a user should know before training on it, in words.
    """

    name: str
    uri: str
    format: str
    split: str
    robot: str
    control_hz: float | None
    splits: tuple[SplitRow, ...]
    features: tuple[FeatureRow, ...]
    cameras: tuple[Camera, ...]
    action: tuple[ActionDim, ...]
    state: tuple[StateDim, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict:
        """As JSON-ready values."""
        return to_dict(self)

    def tree(self) -> str:
        """The keys as an indented tree, one value a line."""
        return "\n".join(_tree_lines(self.features))

    def sections(self) -> list[Section]:
        """A page of it: splits, tree, values, what the action means, warnings."""
        rate = f"{self.control_hz:g} Hz" if self.control_hz else "control rate unknown"
        words = f"{self.format} at {self.uri}; robot {self.robot}, {rate}."
        blocks = [Text(words), _split_table(self.splits), Code(self.tree()), _feature_table(self.features)]
        meaning = [_camera_table(self.cameras), _action_table(self.action)] if self.cameras else []
        noted = [Text(w) for w in self.warnings] or [Text("Nothing odd was found.")]
        return [
            Section(f"Data model of {self.name}", tuple(blocks)),
            Section("Cameras and action", tuple(meaning or [_action_table(self.action)])),
            Section("Warnings", tuple(noted)),
        ]


def inspect(uri: str | Path, split: str = "train") -> DataModel:
    """Look at a data set.

    Reads the series of every episode and a few frames of some.

    Raises:
        UnknownNameError, ConfigError, DataError: as `vla_data.open_episodes`.
    """
    path = locate(to_path(uri), lambda p: find_format(p) is not None)
    reader = open_episodes(path, split)
    splits = tuple(reader.split_rows())
    return DataModel(
        name=reader.name,
        uri=str(path),
        format=find_format(path) or "",
        split=split,
        robot=reader.robot.name,
        control_hz=None if reader.rate_assumed else reader.robot.action.control_hz,
        splits=splits,
        features=tuple(reader.feature_rows()),
        cameras=tuple(reader.cameras.values()),
        action=reader.robot.action.dims,
        state=reader.robot.state,
        warnings=find_warnings(reader, path, split, [s.name for s in splits]),
    )


def _tree_lines(rows: Sequence[FeatureRow]) -> Iterator[str]:
    before: list[str] = []
    width = max((2 * r.key.count("/") + len(r.key.rsplit("/", 1)[-1]) for r in rows), default=0) + 2
    for row in rows:
        *parents, leaf = row.key.split("/")
        for depth, parent in enumerate(parents):
            if before[: depth + 1] != parents[: depth + 1]:
                yield f"{'  ' * depth}{parent}/"
        before = parents
        stored = f"{row.dtype}{row.shape}" + (f" {row.encoding}" if row.encoding != "none" else "")
        role = f"  → {row.role}" if row.role else ""
        yield f"{'  ' * len(parents) + leaf:<{width}}{stored}{role}"


def _split_table(splits: Sequence[SplitRow]) -> Table:
    rows = tuple((s.name, f"{s.episodes:,}", f"{s.shards:,}", f"{s.bytes / 1e6:,.1f}") for s in splits)
    return Table(("split", "episodes", "shards", "MB"), rows)


def _feature_table(rows: Sequence[FeatureRow]) -> Table:
    columns = ("key", "kind", "shape", "dtype", "encoding", "role", "example")
    cells = tuple((r.key, r.kind, r.shape, r.dtype, r.encoding, r.role, r.example) for r in rows)
    return Table(columns, cells, "T steps an episode; examples from the first one")


def _camera_table(cameras: Sequence[Camera]) -> Table:
    rows = tuple(
        (c.name, f"{c.width}×{c.height}", "yes" if c.intrinsics else "no", "yes" if c.pose else "no")
        for c in cameras
    )
    return Table(("camera", "width × height", "intrinsics", "pose"), rows)


def _action_table(dims: Sequence[ActionDim]) -> Table:
    rows = tuple((d.name, d.quantity, d.mode, d.frame, d.unit, f"{d.low:g} … {d.high:g}") for d in dims)
    return Table(("action", "quantity", "mode", "frame", "unit", "range"), rows)
