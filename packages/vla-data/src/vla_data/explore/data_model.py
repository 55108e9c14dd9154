"""What a data set holds: keys, shapes, dtypes, encodings, an example of each, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vla_data.config import to_dict
from vla_data.errors import UnknownNameError
from vla_data.explore.findings import find_warnings
from vla_data.explore.looks import View, gallery, look, save_pictures
from vla_data.formats import find_format, open_episodes
from vla_data.formats.describe import DescribedReader, FeatureRow, SplitRow
from vla_data.formats.locate import locate, to_path
from vla_data.report import Block, Code, Section, Table, Text
from vla_data.types import Camera, Image, RobotSpec


@dataclass(frozen=True)
class Standing:
    """How far the translation of a data set's names and conventions can be trusted.

    Args:
        status: described (its own files or its format say what the numbers mean), guessed (nothing but names
            does), or the status of its entry in `vla_data.openx`: real, synthetic, unverified.
        source: where the entry's facts are from.
        quirks: what else is known of the data set.
    """

    status: str
    source: str = ""
    quirks: tuple[str, ...] = ()

    def words(self) -> str:
        """In one sentence."""
        said = {
            "described": "its files say what the numbers mean: nothing had to be translated",
            "guessed": "no entry describes it: meanings are guessed from names",
            "real": "its entry was verified on real episodes",
            "synthetic": "its entry was verified on synthetic episodes of its published features",
            "unverified": "its entry is unverified",
        }.get(self.status, self.status)
        parts = [f"Standardisation: {said}", *([f"Source: {self.source}"] if self.source else [])]
        return ". ".join([*parts, *([f"Known: {'; '.join(self.quirks)}"] if self.quirks else [])]) + "."


@dataclass(frozen=True)
class DataModel:
    """The data model of a data set as one of its splits shows it.

    Args:
        features: every stored value; `role` says what it is in this suite's vocabulary.
        control_hz: None when the data set does not tell and nothing is known of it.
        standing: how its names were translated.
        views: what is seen through each camera; `pictures` holds one frame of each.
        warnings: what a user should know before training on it, in words.
    """

    name: str
    uri: str
    format: str
    split: str
    robot: RobotSpec
    control_hz: float | None
    standing: Standing
    splits: tuple[SplitRow, ...]
    features: tuple[FeatureRow, ...]
    cameras: tuple[Camera, ...]
    views: tuple[View, ...]
    warnings: tuple[str, ...]
    pictures: Mapping[str, Image] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, without the pictures."""
        kept = [f.name for f in fields(self) if f.name != "pictures"]
        units = {row.key: unit for row in self.features if (unit := _unit(row, self.robot))}
        return {name: to_dict(getattr(self, name)) for name in kept} | {"units": units}

    def tree(self) -> str:
        """The keys as an indented tree, one value a line: how it is stored, its role, its unit."""
        return "\n".join(_tree_lines(self.features, self.robot))

    def sections(self, media: Path | None = None) -> list[Section]:
        """A page of it: warnings, splits, tree, examples, what the action means.

        Args:
            media: directory for the pictures of the page; without, the page has none.
        """
        rate = f"{self.control_hz:g} Hz" if self.control_hz else "control rate unknown"
        words = f"{self.format} at {self.uri}; robot {self.robot.name}, {rate}."
        top: list[Block] = [Text(words), Text(self.standing.words()), _split_table(self.splits)]
        seen: list[Block] = [_camera_table(self.cameras, self.views)] if self.cameras else []
        if media is not None and self.views:
            seen.append(gallery(self.views, save_pictures(media, self.pictures, f"{self.name}-")))
        noted = [Text(w) for w in self.warnings] or [Text("Nothing odd was found.")]
        return [
            Section(f"Data model of {self.name}", (*top, Code(self.tree()), _examples(self.features))),
            Section("Cameras and action", (*seen, _action_table(self.robot), *_state_table(self.robot))),
            Section("Warnings", tuple(noted)),
        ]


def inspect(uri: str | Path, split: str = "train", *, skip_corrupt: bool = False) -> DataModel:
    """Look at a data set.

    Reads the series of every episode and a few frames of some.

    Args:
        skip_corrupt: say of damaged episodes that they are, instead of raising.

    Raises:
        UnknownNameError, ConfigError, DataError: as `vla_data.open_episodes`, and for a damaged episode.
    """
    reader = open_episodes(uri, split)
    path = _path(reader, uri)
    splits = tuple(reader.split_rows())
    looks = look(reader, skip_corrupt)
    names, known = [s.name for s in splits], standing(reader)
    return DataModel(
        name=reader.name,
        uri=str(path),
        format=find_format(path) or "",
        split=split,
        robot=reader.robot,
        control_hz=None if reader.rate_assumed else reader.robot.action.control_hz,
        standing=known,
        splits=splits,
        features=tuple(reader.feature_rows()),
        cameras=tuple(reader.cameras.values()),
        views=looks.views,
        warnings=(
            *find_warnings(reader, uri, split, names, looks, skip_corrupt),
            *_unknown(reader, known.status),
        ),
        pictures=looks.examples,
    )


def standing(reader: DescribedReader) -> Standing:
    """How far a reader's translation can be trusted."""
    entry = getattr(reader, "standard", None) or getattr(getattr(reader, "door", None), "standard", None)
    if entry is None:
        nameless = all(d.quantity == "other" for d in reader.robot.action.dims)
        return Standing("guessed" if reader.rate_assumed or nameless else "described")
    return Standing(entry.status, entry.source, _quirks(reader.name))


def _quirks(name: str) -> tuple[str, ...]:
    from vla_data.openx.catalog import find_entry

    try:
        return find_entry(name).quirks
    except UnknownNameError:  # a data set of one's own with an entry beside its files
        return ()


def _unknown(reader: DescribedReader, status: str) -> Iterator[str]:
    hz = f"{reader.robot.action.control_hz:g} Hz"
    if status == "guessed":
        rate = f", and {hz} is assumed" if reader.rate_assumed else ""
        yield f"nothing is known of what the action means: names were guessed{rate}"
    elif reader.rate_assumed:
        yield f"nobody published the control rate: {hz} is assumed, and time counts steps at it"


def _path(reader: DescribedReader, uri: str | Path) -> Path:
    """Where a data set lies; of one that is called by a registered name, its reader knows."""
    typed = to_path(uri)
    if typed.exists():
        return locate(typed, lambda p: find_format(p) is not None)
    layout = getattr(reader, "layout", reader)
    return Path(getattr(layout, "directory", None) or getattr(layout, "root", None) or typed)


def _tree_lines(rows: Sequence[FeatureRow], robot: RobotSpec) -> Iterator[str]:
    before: list[str] = []
    width = max((2 * r.key.count("/") + len(r.key.rsplit("/", 1)[-1]) for r in rows), default=0) + 2
    for row in rows:
        *parents, leaf = row.key.split("/")
        for depth, parent in enumerate(parents):
            if before[: depth + 1] != parents[: depth + 1]:
                yield f"{'  ' * depth}{parent}/"
        before = parents
        stored = f"{row.dtype}{row.shape}" + (f" {row.encoding}" if row.encoding != "none" else "")
        unit = _unit(row, robot)
        role = f"  → {row.role}" + (f" [{unit}]" if unit else "") if row.role else ""
        yield f"{'  ' * len(parents) + leaf:<{width}}{stored}{role}"


def _unit(row: FeatureRow, robot: RobotSpec) -> str:
    """The unit of a value, where it is known; that of each number where they differ."""
    kind = row.role.partition(" ")[0]
    units = {
        "action": [d.unit for d in robot.action.dims],
        "state": [d.unit for d in robot.state],
        "time": ["s"],
        "depth": ["m"],
    }.get(kind, [])
    runs: list[tuple[str, int]] = []
    for unit in units:
        runs = [*runs[:-1], (unit, runs[-1][1] + 1)] if runs and runs[-1][0] == unit else [*runs, (unit, 1)]
    known = len(runs) == 1 or any(unit != "1" for unit in units)
    words = [unit if len(runs) == 1 else f"{n}×{unit if unit != '1' else '–'}" for unit, n in runs]
    return ", ".join(words) if known else ""


def _split_table(splits: Sequence[SplitRow]) -> Table:
    rows = tuple((s.name, f"{s.episodes:,}", f"{s.shards:,}", f"{s.bytes / 1e6:,.1f}") for s in splits)
    return Table(("split", "episodes", "shards", "MB"), rows)


def _examples(rows: Sequence[FeatureRow]) -> Table:
    cells = tuple((r.key, r.example) for r in rows)
    return Table(("key", "example"), cells, "T steps an episode; examples from the first one")


def _camera_table(cameras: Sequence[Camera], views: Sequence[View]) -> Table:
    seen = {v.camera: v for v in views}
    columns = ("camera", "width × height", "intrinsics", "pose", "mean", "std")
    return Table(
        columns, tuple(_camera_row(c, seen.get(c.name)) for c in cameras), "mean and std of one frame"
    )


def _camera_row(c: Camera, view: View | None) -> tuple[str, ...]:
    numbers = (f"{view.mean:g}", f"{view.std:g}") if view else ("–", "–")
    known = ("yes" if c.intrinsics else "no", "yes" if c.pose else "no")
    return (c.name, f"{c.width}×{c.height}", *known, *numbers)


def _action_table(robot: RobotSpec) -> Table:
    dims, closes = robot.action.dims, robot.action.gripper_closes
    rows = tuple((d.name, d.quantity, d.mode, d.frame, d.unit, f"{d.low:g} … {d.high:g}") for d in dims)
    told = f"rotations as {robot.action.rotation}" if robot.action.rotation != "none" else ""
    said = f"the gripper closes at {'high' if closes > 0 else 'low'} values" if closes else ""
    caption = "; ".join(t for t in (told, said) if t)
    return Table(("action", "quantity", "mode", "frame", "unit", "range"), rows, caption)


def _state_table(robot: RobotSpec) -> list[Table]:
    rows = tuple((d.name, d.unit) for d in robot.state)
    return [Table(("state", "unit"), rows)] if rows else []
