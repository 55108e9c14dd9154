"""Rows of Parquet files by number: only the row groups and columns asked for are read.

Open files and the row groups read last are kept, a few of each a process: a file of one large row group is
then not decoded again for every episode in it. A forked process starts with none.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_data.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    import pyarrow as pa

OPEN_FILES = 16
KEPT_GROUPS = 4
MAX_BYTES = 4 << 30  # of one row group's columns, decompressed
REFETCH = "fetch the data set again, or convert it again"

_files: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
_groups: OrderedDict[tuple, Any] = OrderedDict()
_lock = RLock()
_owner = os.getpid()


def read_rows(path: Path, columns: Sequence[str], start: int, stop: int) -> pa.Table:
    """Rows [start, stop) of a file.

    Raises:
        DataError: the file is missing or damaged, or lacks a column or the rows.
    """
    with _lock, reading(path):
        import pyarrow as pa

        file, ends = _open(path)
        if not 0 <= start <= stop <= (ends[-1] if ends else 0):
            raise _short(path, start, stop, ends)
        if start == stop:
            return _group(path, file, 0, tuple(columns)).slice(0, 0)
        first, last = bisect_right(ends, start), bisect_right(ends, stop - 1)
        tables, at = [], ends[first - 1] if first else 0
        for group in range(first, last + 1):
            table = _group(path, file, group, tuple(columns))
            tables.append(table.slice(max(0, start - at), max(0, stop - max(at, start))))
            at = ends[group]
        return pa.concat_tables(tables)


def count_rows(path: Path) -> int:
    """How many rows a file has, from its footer."""
    with _lock, reading(path):
        return _open(path)[0].metadata.num_rows


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table of metadata.

    Raises:
        DataError: as `read_rows`.
    """
    with reading(path):
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.metadata.num_row_groups):
                _require_small(path, file, group, columns)
            return file.read(columns)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say what is wrong with a Parquet file in our own words."""
    import_arrow()
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise DataError("a file is missing", where=str(path), got="no file", next_step=REFETCH) from None
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(
            "a Parquet file cannot be read",
            where=str(path),
            expected="a whole file with the columns that info.json declares",
            got=" ".join(str(error).split())[:300],
            next_step=REFETCH,
        ) from error


def import_arrow() -> Any:
    """pyarrow; raises MissingDependencyError without it."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError(
            "pyarrow is not installed",
            where="vla_data.formats.lerobot",
            expected="the extra lerobot",
            next_step="pip install 'vla-data[lerobot]'",
        ) from error
    return pyarrow


def _open(path: Path) -> tuple[Any, list[int]]:
    import pyarrow.parquet as pq

    _forget_after_fork()
    found = os.stat(path)
    key = (str(path), found.st_mtime_ns, found.st_size)
    if key not in _files:
        while len(_files) >= OPEN_FILES:
            _files.popitem(last=False)
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        _files[key] = file, np.cumsum(sizes).tolist()
    _files.move_to_end(key)
    return _files[key]


def _group(path: Path, file: Any, group: int, columns: tuple[str, ...]) -> pa.Table:
    key = (id(file), group, columns)
    if key not in _groups:
        while len(_groups) >= KEPT_GROUPS:
            _groups.popitem(last=False)
        _require_small(path, file, group, columns)
        missing = [c for c in columns if c not in file.schema_arrow.names]
        if missing:
            raise DataError(
                "a Parquet file lacks a column",
                where=str(path),
                expected=", ".join(missing),
                got=", ".join(file.schema_arrow.names),
                next_step=REFETCH,
            )
        _groups[key] = file, file.read_row_group(group, list(columns), use_threads=False)
    _groups.move_to_end(key)
    return _groups[key][1]


def _require_small(path: Path, file: Any, group: int, columns: Sequence[str] | None) -> None:
    """A few compressed bytes can claim many gigabytes."""
    meta = file.metadata.row_group(group)
    chunks = [meta.column(i) for i in range(meta.num_columns)]
    wanted = [c for c in chunks if columns is None or c.path_in_schema.startswith(tuple(columns))]
    size = sum(c.total_uncompressed_size for c in wanted)
    if size > MAX_BYTES:
        raise DataError(
            "a row group is too large to be read",
            where=f"{path}, row group {group}",
            expected=f"at most {MAX_BYTES:,} bytes, decompressed",
            got=f"{size:,}",
            next_step="write the data set with fewer rows in a row group",
        )


def _forget_after_fork() -> None:
    global _owner
    if _owner != os.getpid():
        _files.clear()
        _groups.clear()
        _owner = os.getpid()


def _short(path: Path, start: int, stop: int, ends: list[int]) -> DataError:
    return DataError(
        "a file holds fewer rows than the table of episodes says",
        where=str(path),
        expected=f"rows {start} to {stop}",
        got=f"{ends[-1] if ends else 0} rows",
        next_step=REFETCH,
    )
