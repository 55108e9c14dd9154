"""What is to be fetched of a data set, held first against what its `dataset_info.json` declares."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vla_data.errors import ConfigError, DataError
from vla_data.files import read_json
from vla_data.formats.features import FILE_NAME as FEATURES
from vla_data.formats.features import read_features
from vla_data.formats.rlds.layout import INFO, Layout, read_layout
from vla_data.formats.rlds.schema import FILE_NAME as VLA
from vla_data.formats.tfrecord import OVERHEAD
from vla_data.openx.faults import Patience
from vla_data.openx.remote import RemoteObject, Source
from vla_data.openx.transfer import Transfer

FACTS_LIMIT = 64 << 20  # bytes of features.json or dataset_info.json
SHOWN = 6  # names in a message


@dataclass(frozen=True)
class Wanted:
    """Which shards of each split.

    Args:
        shards: their numbers; None means all.
        episodes: no more of them, from the first on, than it takes to hold so many episodes.
        also: split → numbers that are wanted in any case.
    """

    shards: frozenset[int] | None = None
    episodes: int | None = None
    also: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def choose(self, split: str, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of a split's shards that are wanted."""
        chosen, held = set(self.also.get(split, ())), 0
        for i, length in enumerate(lengths):
            if self.episodes is not None and held >= self.episodes:
                break
            if self.shards is None or i in self.shards:
                chosen.add(i)
                held += length
        return tuple(sorted(i for i in chosen if i < len(lengths)))


@dataclass(frozen=True)
class Plan:
    """What is to be fetched.

    Args:
        facts: features.json and dataset_info.json as they are to be written. Of a subset, the latter says
            that shards which are left out hold no episodes; names and numbering stay as published.
        objects: shards, and what else lies beside them (labels of classes, …).
        records: name of a shard → episodes in it.
        subset: split → shards; empty when nothing is left out.
        published: sha256 of the source's dataset_info.json.
    """

    name: str
    version: str
    source: Source
    facts: Mapping[str, bytes]
    objects: tuple[RemoteObject, ...]
    records: Mapping[str, int]
    subset: Mapping[str, tuple[int, ...]]
    published: str

    @property
    def bytes(self) -> int:
        return sum(o.size for o in self.objects)

    @property
    def episodes(self) -> int:
        return sum(self.records.values())


def parse_shards(text: str) -> frozenset[int]:
    """Numbers given as `0-3,7`.

    Raises:
        ConfigError: it is something else.
    """
    ranges = [re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part.strip()) for part in text.split(",")]
    pairs = [(int(m[1]), int(m[2] or m[1])) for m in ranges if m]
    if len(pairs) < len(ranges) or any(a > b for a, b in pairs):
        raise ConfigError("these are no shards", where="--shards", expected="such as 0-3,7", got=repr(text))
    return frozenset(i for a, b in pairs for i in range(a, b + 1))


def make_plan(source: Source, name: str, version: str, wanted: Wanted, patience: Patience) -> Plan:
    """What is to be fetched of a data set.

    Raises:
        SourceError: the source cannot be asked.
        DataError: it lacks files, or their sizes cannot be those of the episodes that are declared.
    """
    where = source.where(name, version)
    with TemporaryDirectory() as folder:
        found = source.objects(name, version, (FEATURES, INFO, VLA))
        facts = _fetch_facts(source, found, where, Path(folder), patience)
        try:
            layout = read_layout(Path(folder))
            read_features(Path(folder))
            shards = {s: [p.name for p in layout.shards(s)] for s in layout.splits}
            info = read_json(Path(folder) / INFO)
        except DataError as error:
            error.where = (error.where or "").replace(folder, where.rstrip("/"))
            raise
    chosen = _choose(layout, wanted, where)
    names = [shards[s][i] for s, numbers in chosen.items() for i in numbers]
    found = {**found, **source.objects(name, version, names)}
    _require_shards(layout, shards, chosen, found, where)
    left_out = any(len(chosen[s]) < len(shards[s]) for s in shards)
    published = hashlib.sha256(facts[INFO]).hexdigest()
    if left_out:
        facts = {**facts, INFO: _without(info, layout, shards, chosen, found)}
    records = {shards[s][i]: layout.splits[s].shard_lengths[i] for s, n in chosen.items() for i in n}
    objects = tuple(found[n] for n in (*_beside(found), *records))
    return Plan(name, version, source, facts, objects, records, chosen if left_out else {}, published)


def _fetch_facts(
    source: Source, found: Mapping[str, RemoteObject], where: str, folder: Path, patience: Patience
) -> dict[str, bytes]:
    facts = {}
    for name in (FEATURES, INFO):
        if name not in found:
            raise DataError(
                f"the source lacks {name}",
                where=where,
                expected="features.json and dataset_info.json",
                got=", ".join(sorted(found)[:SHOWN]) or "nothing of this data set",
                next_step="check name and version, or name another --source",
            )
        if not 0 < found[name].size <= FACTS_LIMIT:
            raise DataError(
                f"{name} is no file of facts", where=found[name].url, got=f"{found[name].size} bytes"
            )
        Transfer(source, folder / name, patience, _require_json, threading.Event()).run(found[name])
        facts[name] = (folder / name).read_bytes()
    return facts


def _require_json(path: Path) -> None:
    read_json(path)


def _choose(layout: Layout, wanted: Wanted, where: str) -> dict[str, tuple[int, ...]]:
    chosen = {name: wanted.choose(name, split.shard_lengths) for name, split in layout.splits.items()}
    most = max((len(s.shard_lengths) for s in layout.splits.values()), default=0)
    if not layout.splits or not any(chosen.values()) or max(wanted.shards or {0}) >= most:
        raise DataError(
            "there are no such shards" if layout.splits else "the data set declares no split",
            where=where,
            expected=f"numbers from 0 to {most - 1}" if most else "splits with shards",
            got=f"up to {max(wanted.shards)}" if wanted.shards else None,
        )
    return chosen


def _require_shards(
    layout: Layout,
    shards: Mapping[str, list[str]],
    chosen: Mapping[str, tuple[int, ...]],
    found: Mapping[str, RemoteObject],
    where: str,
) -> None:
    """Every shard is there and its size is possible; of a split that is known whole, the sizes add up."""
    needed = {shards[s][i]: layout.splits[s].shard_lengths[i] for s, n in chosen.items() for i in n}
    missing = [n for n in needed if n not in found]
    if missing:
        raise DataError(
            "the source lacks shards",
            where=where,
            expected=f"{len(needed)} shards, as its dataset_info.json declares",
            got=f"{len(missing)} of them missing: {_some(missing)}",
            next_step="name another --source, or fetch what is there with --shards",
        )
    stubs = [n for n, records in needed.items() if found[n].size < OVERHEAD * records]
    if stubs:
        raise DataError(
            "shards at the source are stubs",
            where=where,
            expected="files as large as their episodes",
            got=f"{_some(stubs)} of {found[stubs[0]].size} bytes",
            next_step="name another --source",
        )
    for name, split in layout.splits.items():
        if split.num_bytes and all(n in found for n in shards[name]):
            _require_sum(
                name, split.num_bytes + OVERHEAD * split.episodes, [found[n] for n in shards[name]], where
            )


def _require_sum(split: str, expected: int, objects: list[RemoteObject], where: str) -> None:
    size = sum(o.size for o in objects)
    if size != expected:
        raise DataError(
            "the shards of a split do not add up to what dataset_info.json declares",
            where=f"{where}, split {split!r}",
            expected=f"{expected} bytes",
            got=f"{size} bytes in {len(objects)} files",
            next_step="name another --source: this one holds another data set than it says",
        )


def _without(
    info: dict[str, Any],
    layout: Layout,
    shards: Mapping[str, list[str]],
    chosen: Mapping[str, tuple[int, ...]],
    found: Mapping[str, RemoteObject],
) -> bytes:
    """dataset_info.json of a subset: shards left out are declared to hold nothing, so none is missed."""
    for entry in info["splits"]:
        name = entry["name"]
        lengths, kept = layout.splits[name].shard_lengths, set(chosen[name])
        entry["shardLengths"] = [str(n if i in kept else 0) for i, n in enumerate(lengths)]
        sizes = sum(found[shards[name][i]].size - OVERHEAD * lengths[i] for i in kept)
        entry["numBytes"] = str(sizes)
    return (json.dumps(info, indent=2) + "\n").encode()


def _beside(found: Mapping[str, RemoteObject]) -> list[str]:
    """Files that are neither facts nor shards; a builder may need them (labels.txt, vla.json)."""
    ours = (FEATURES, INFO, "download.json")
    return sorted(n for n in found if n not in ours and ".tfrecord" not in n and not n.startswith("."))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")
