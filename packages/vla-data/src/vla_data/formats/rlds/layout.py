"""The files of a data set in TFDS layout: `dataset_info.json`, shard names and what they must add up to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vla_data.errors import DataError, UnknownNameError
from vla_data.files import inside, read_json
from vla_data.formats.features import FILE_NAME as FEATURES
from vla_data.formats.tfrecord import OVERHEAD, RecordFile

INFO = "dataset_info.json"
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
SHARD_NAME = re.compile(r"(?P<name>.+)-(?P<split>[^-]+)\.tfrecord-(?P<index>\d{5,})-of-(?P<total>\d{5,})")
PLACEHOLDER = re.compile(r"\{([A-Z_]+)\}")  # nothing else of a template that came with the data is looked at
REFETCH = "fetch the data set again, or run the command that generated it: finished shards are kept"


@dataclass(frozen=True)
class Split:
    """A split as `dataset_info.json` declares it: records of each shard, bytes of all data together."""

    name: str
    shard_lengths: tuple[int, ...]
    num_bytes: int
    template: str = TEMPLATE

    @property
    def episodes(self) -> int:
        return sum(self.shard_lengths)


@runtime_checkable
class ShardProvider(Protocol):
    """Has shards that do not lie beside the facts of their data set; a file stays while it is held."""

    def shard(self, name: str) -> AbstractContextManager[Path]: ...


@dataclass(frozen=True)
class Layout:
    """A data set's directory and what its info file says; `provider` when its shards are elsewhere."""

    directory: Path
    name: str
    version: str
    splits: Mapping[str, Split]
    provider: ShardProvider | None = None

    def split(self, name: str) -> Split:
        """Raises UnknownNameError when there is no such split."""
        if name not in self.splits:
            raise UnknownNameError("split", name, self.splits, where=str(self.directory))
        return self.splits[name]

    def shards(self, name: str) -> tuple[Path, ...]:
        """The files of a split, in order."""
        split = self.split(name)
        total = len(split.shard_lengths)
        names = (_file_name(self.name, split, i, total) for i in range(total))
        return tuple(inside(self.directory, name, self.directory / INFO) for name in names)

    def check(self, name: str) -> None:
        """Hold the files of a split against what is declared of them: they are there, and their sizes add up.

        A shard that is declared to hold nothing need not be there: it was left out of a subset. Those of a
        provider are held against what is declared when they are opened.

        Raises:
            DataError: a shard is missing, too many are there, or one is truncated or damaged.
        """
        if self.provider is not None:
            return
        split, declared = self.split(name), self.shards(name)
        counts = {p: n for p, n in zip(declared, split.shard_lengths, strict=True) if n}
        paths = tuple(counts)
        for path in paths:
            if not path.is_file():
                raise _missing(path, paths)
        _refuse_others(self, name, declared)
        size = sum(p.stat().st_size for p in paths)
        if split.num_bytes and size != split.num_bytes + OVERHEAD * split.episodes:
            for path, length in counts.items():
                open_shard(path, length)  # names the record, if a shard is truncated or short
            raise DataError(
                "the shards of a split do not add up to what dataset_info.json declares",
                where=f"{self.directory / INFO}, split {name!r}",
                expected=f"{split.num_bytes} bytes of data + {OVERHEAD} × {split.episodes} records",
                got=f"{size} bytes in {len(paths)} files",
                next_step=REFETCH,
            )

    def open(self, name: str, index: int) -> RecordFile:
        """A shard of a split, by its number.

        Raises:
            DataError: it is missing or damaged, or holds another number of records than declared.
        """
        path, records = self.shards(name)[index], self.split(name).shard_lengths[index]
        if self.provider is None:
            return open_shard(path, records)
        with self.provider.shard(path.name) as fetched:
            return open_shard(fetched, records)


def is_dataset(path: Path) -> bool:
    """Whether a directory holds a data set in TFDS layout."""
    return (path / FEATURES).is_file()


def shard_path(directory: Path, name: str, split: str, index: int, total: int) -> Path:
    """Where a shard of a data set of our own lies."""
    return directory / _file_name(name, Split(split, (), 0), index, total)


def open_shard(path: Path, records: int) -> RecordFile:
    """A shard, once it was found to hold as many records as declared.

    Raises:
        DataError: it does not, or is missing or damaged.
    """
    shard = RecordFile(path)
    if len(shard) != records:
        raise DataError(
            "a shard holds another number of records than dataset_info.json declares",
            where=f"{path}, record {min(len(shard), records)}, byte {path.stat().st_size}",
            expected=f"{records} records",
            got=f"{len(shard)} records",
            next_step=REFETCH,
        )
    return shard


def read_layout(directory: Path) -> Layout:
    """What `dataset_info.json` declares.

    Raises:
        DataError: the file is missing, is not JSON, lacks something, or names a format other than TFRecord.
    """
    path = directory / INFO
    if not path.is_file():
        raise DataError(
            "a data set lacks its dataset_info.json",
            where=str(path),
            expected="the file that lists splits and shards",
            got="no file",
            next_step=REFETCH,
        )
    info = read_json(path)
    try:
        file_format = info.get("fileFormat", "tfrecord")
        splits = {s["name"]: _split(s) for s in info.get("splits", [])}
        layout = Layout(
            directory, _text(info["name"]), str(info.get("version", "")), splits, _provider(directory)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            "dataset_info.json lacks what a reader needs",
            where=str(path),
            expected="name, and of each split name, shardLengths and numBytes",
            got=f"{type(error).__name__}: {error}",
        ) from error
    if file_format != "tfrecord":
        raise DataError(
            "the records are not TFRecords",
            where=str(path),
            expected="fileFormat tfrecord",
            got=str(file_format),
        )
    return layout


def _provider(directory: Path) -> ShardProvider | None:
    """Who has the shards of a data set that was registered without copying it; None when they are here."""
    from vla_data.openx.manifest import FILE_NAME

    path = directory / FILE_NAME
    if not path.is_file() or read_json(path).get("mode") != "stream":
        return None
    from vla_data.openx.cache import StreamedShards

    return StreamedShards(directory)


def _split(entry: Mapping[str, Any]) -> Split:
    lengths = tuple(int(n) for n in entry.get("shardLengths", ()))
    template = _text(entry.get("filepathTemplate") or TEMPLATE)
    return Split(_text(entry["name"]), lengths, int(entry.get("numBytes", 0)), template)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value


def _file_name(name: str, split: Split, index: int, total: int) -> str:
    known = {
        "DATASET": name,
        "SPLIT": split.name,
        "FILEFORMAT": "tfrecord",
        "SHARD_INDEX": f"{index:05d}",
        "NUM_SHARDS": f"{total:05d}",
        "SHARD_X_OF_Y": f"{index:05d}-of-{total:05d}",
    }
    return PLACEHOLDER.sub(lambda match: known.get(match[1], match[0]), split.template)


def _missing(path: Path, paths: tuple[Path, ...]) -> DataError:
    here = sum(p.is_file() for p in paths)
    return DataError(
        "a shard is missing",
        where=f"{path}, record 0, byte 0",
        expected=f"{len(paths)} shards, as dataset_info.json declares",
        got=f"{here} of them",
        next_step=REFETCH,
    )


def _refuse_others(layout: Layout, split: str, paths: tuple[Path, ...]) -> None:
    """Shards with another `-of-N` beside the declared ones mean two generations in one directory."""
    known = {p.name for p in paths}
    for path in sorted(layout.directory.glob(f"{layout.name}-{split}.tfrecord-*")):
        match = SHARD_NAME.fullmatch(path.name)
        if match and match["split"] == split and path.name not in known:
            raise DataError(
                "a shard that dataset_info.json does not declare",
                where=f"{path}, record 0, byte 0",
                expected=f"{len(paths)} shards of split {split!r}",
                got=f"one more, numbered {match['index']}-of-{match['total']}",
                next_step="remove the shards of the earlier attempt, or fetch the data set again",
            )
