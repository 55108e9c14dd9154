"""HDF5 files opened with care: a file cannot make the reader look outside it, nor claim more than it may.

A link may point into another file, and a data set may keep its numbers there (external storage, virtual
data sets): each is refused by name. Open files are kept, a few a process.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from vla_data.errors import DataError, MissingDependencyError

OPEN_FILES = 16
MAX_TEXT = 16 << 20  # of an attribute
MAX_BYTES = 1 << 30  # of a series, or of a chunk, decompressed
LINKS = 8  # soft links that may point at one another

_files: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
_lock = RLock()
_owner = os.getpid()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file, for reading.

    Raises:
        DataError: it is missing, truncated or damaged.
        MissingDependencyError: h5py is not installed.
    """
    import_h5py()
    with _lock:
        try:
            yield _open(path)
        except FileNotFoundError:
            raise DataError("a file is missing", where=str(path), got="no file") from None
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise DataError(
                "an HDF5 file cannot be read",
                where=str(path),
                expected="a whole file of demonstrations",
                got=" ".join(str(error).split())[:300],
                next_step="fetch the file again",
            ) from error


def import_h5py() -> Any:
    """h5py; raises MissingDependencyError without it."""
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "h5py is not installed",
            where="vla_data.formats.hdf5",
            expected="the extra hdf5",
            next_step="pip install 'vla-data[hdf5]'",
        ) from error
    return h5py


def _open(path: Path) -> Any:
    global _owner
    import h5py

    if _owner != os.getpid():  # a file's position is shared with the process that forked this one
        _files.clear()
        _owner = os.getpid()
    found = os.stat(path)
    key = (str(path), found.st_mtime_ns, found.st_size)
    if key not in _files:
        while len(_files) >= OPEN_FILES:
            _files.popitem(last=False)[1].close()
        _files[key] = h5py.File(path, "r", locking="best-effort")
    _files.move_to_end(key)
    return _files[key]


def close_all() -> None:
    """Let go of every file, so that another may write to it."""
    with _lock:
        while _files:
            _files.popitem()[1].close()


def member(group: Any, name: str, depth: int = 0) -> Any:
    """What lies under `name` in a group, None when nothing does.

    Raises:
        DataError: a link on the way leads into another file, or in circles.
    """
    import h5py

    node = group
    for part in name.strip("/").split("/"):
        if not isinstance(node, h5py.Group) or node.get(part, getlink=True) is None:
            return None
        link = node.get(part, getlink=True)
        if isinstance(link, h5py.SoftLink) and depth < LINKS:
            start = node.file if link.path.startswith("/") else node
            node = member(start, link.path, depth + 1)
        elif isinstance(link, h5py.HardLink):
            node = node[part]
        else:
            raise _outside(
                f"{node.file.filename}, {node.name}/{part}", f"{type(link).__name__} to {_target(link)}"
            )
    return _own(node) if isinstance(node, h5py.Dataset) else node


def names(group: Any) -> list[str]:
    """What a group holds, without following a link."""
    return sorted(group.keys())


def _own(dataset: Any) -> Any:
    where = f"{dataset.file.filename}, {dataset.name}"
    if dataset.external is not None:
        raise _outside(where, f"values in {dataset.external[0][0]}")
    if dataset.is_virtual:
        raise _outside(where, "a virtual data set, whose values lie elsewhere")
    return dataset


def read_numbers(dataset: Any) -> np.ndarray:
    """All values of a small data set.

    Raises:
        DataError: it claims to be larger than a series can be, or holds no numbers.
    """
    _require_small(dataset, dataset.size * dataset.dtype.itemsize)
    if dataset.dtype.kind not in "biuf":
        raise DataError("a series holds no numbers", where=_where(dataset), got=str(dataset.dtype))
    return dataset[()]


def read_frame(dataset: Any, index: int) -> np.ndarray:
    """One image of a data set of images."""
    chunk = (
        int(np.prod(dataset.chunks, dtype=np.int64)) if dataset.chunks else int(np.prod(dataset.shape[1:]))
    )
    _require_small(dataset, chunk * dataset.dtype.itemsize)
    return np.ascontiguousarray(dataset[index])


def read_text(node: Any, name: str) -> str | None:
    """An attribute that is a text, or the one text in it; None without it."""
    if name not in node.attrs:
        return None
    if node.attrs.get_id(name).get_storage_size() > MAX_TEXT:
        raise DataError("an attribute is too large", where=f"{_where(node)}, attribute {name}")
    value = node.attrs[name]
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise DataError("an attribute is too large", where=f"{_where(node)}, attribute {name}")
    return value if isinstance(value, str) else None


def read_object(node: Any, name: str) -> dict[str, Any]:
    """An attribute that is JSON; empty without it.

    Raises:
        DataError: it is not JSON.
    """
    text = read_text(node, name)
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            "an attribute is not JSON", where=f"{_where(node)}, attribute {name}", got=str(error)
        ) from error
    return value if isinstance(value, dict) else {}


def _require_small(dataset: Any, size: int) -> None:
    if size > MAX_BYTES:
        raise DataError(
            "a data set is larger than it can rightly be",
            where=_where(dataset),
            expected=f"at most {MAX_BYTES:,} bytes at a time",
            got=f"{size:,} bytes, {dataset.dtype} {dataset.shape}",
        )


def _where(node: Any) -> str:
    return f"{node.file.filename}, {node.name}"


def _target(link: Any) -> str:
    return f"{getattr(link, 'filename', '')} {getattr(link, 'path', '')}".strip()


def _outside(where: str, got: str) -> DataError:
    return DataError(
        "a link leads out of its file",
        where=where,
        expected="values in the file itself",
        got=got,
        next_step="copy what is linked into the file, if you trust it",
    )
