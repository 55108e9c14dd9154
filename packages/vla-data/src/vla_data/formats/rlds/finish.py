"""The last act of writing a data set: the files that say what the shards hold."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import DataError
from vla_data.files import read_json, write_json
from vla_data.formats.features import FILE_NAME as FEATURES
from vla_data.formats.features import to_json
from vla_data.formats.rlds.layout import INFO, REFETCH, SHARD_NAME, TEMPLATE
from vla_data.formats.rlds.schema import FILE_NAME as VLA
from vla_data.formats.rlds.schema import Schema
from vla_data.formats.rlds.writer import schema_path
from vla_data.formats.tfrecord import RecordFile


def finish_dataset(
    directory: Path, *, description: str = "", citation: str = "", licence: str = ""
) -> dict[str, int]:
    """Count the shards of every split in `directory` and write what makes them a data set.

    `features.json` and `vla.json` come first and `dataset_info.json` last, each atomically: a directory
    that has the last is whole. May be called again, also after shards of a further split were added.

    Returns:
        split → episodes.

    Raises:
        DataError: a shard is missing or damaged, or two shards were written with different columns.
    """
    directory = Path(directory)
    name, groups = _groups(directory)
    version, schema = _schema(directory, [p for paths in groups.values() for p in paths])
    splits = [_split_entry(split, paths) for split, paths in sorted(groups.items())]
    write_json(directory / FEATURES, to_json(schema.tree()))
    write_json(directory / VLA, {"version": version, "schema": to_dict(schema)})
    info = {
        "name": name,
        "version": version,
        "description": description or f"Episodes of {schema.robot.name}.",
        "citation": citation,
        "fileFormat": "tfrecord",
        "moduleName": "",
        "splits": splits,
    }
    if licence:
        info["redistributionInfo"] = {"license": licence}
    write_json(directory / INFO, info)
    for path in directory.glob(".*.schema.json"):
        path.unlink()
    return {s["name"]: sum(map(int, s["shardLengths"])) for s in splits}


def _groups(directory: Path) -> tuple[str, dict[str, list[Path]]]:
    """The data set's name and split → its shards in order, every one of them there."""
    found: dict[str, list[tuple[int, int, Path]]] = defaultdict(list)
    names = set()
    for path in sorted(directory.glob("*.tfrecord-*")):
        match = SHARD_NAME.fullmatch(path.name)
        if match:
            names.add(match["name"])
            found[match["split"]].append((int(match["index"]), int(match["total"]), path))
    if len(names) != 1:
        raise DataError(
            "the shards in a directory are not those of one data set",
            where=str(directory),
            expected="shards of one name",
            got=", ".join(sorted(names)) or "no shard",
            next_step="write the shards first, each data set in a directory of its own",
        )
    for split, shards in found.items():
        totals = {total for _, total, _ in shards}
        if len(totals) != 1 or [i for i, _, _ in shards] != list(range(totals.copy().pop())):
            raise DataError(
                "the shards of a split are not complete",
                where=f"{directory}, split {split!r}",
                expected=f"shards 0 to {max(totals) - 1} of {max(totals)}",
                got=", ".join(f"{i}-of-{n}" for i, n, _ in shards[:8]),
                next_step=REFETCH,
            )
    return names.pop(), {split: [p for _, _, p in shards] for split, shards in found.items()}


def _schema(directory: Path, shards: list[Path]) -> tuple[str, Schema]:
    """The one schema of all shards: finished ones share `vla.json`, new ones bring their own."""
    sources = [p for p in (directory / VLA, *map(schema_path, shards)) if p.is_file()]
    if not sources:
        raise DataError(
            "no shard says what it holds",
            where=str(directory),
            expected="shards that RldsWriter wrote",
            next_step=REFETCH,
        )
    first = read_json(sources[0])
    for path in sources[1:]:
        other = read_json(path)
        if other != first:
            raise DataError(
                "two shards of one data set were written with different robots, cameras or columns",
                where=f"{path}",
                expected=_differing(first["schema"], other["schema"]),
                got=_differing(other["schema"], first["schema"]),
                next_step="generate the data set again into an empty directory",
            )
    return first["version"], from_dict(Schema, first["schema"], where=str(sources[0]))


def _differing(one: dict, other: dict) -> str:
    return "; ".join(f"{k}: {v}" for k, v in one.items() if other.get(k) != v)[:400] or "another version"


def _split_entry(split: str, paths: list[Path]) -> dict:
    shards = [RecordFile(p) for p in paths]
    return {
        "name": split,
        "filepathTemplate": TEMPLATE,
        "shardLengths": [str(len(s)) for s in shards],
        "numBytes": str(sum(int(s.lengths.sum()) for s in shards)),
    }
