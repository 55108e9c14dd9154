"""Files that appear under their final name only when whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vla_data.errors import DataError

PART_SUFFIX = ".part"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it on success, removed on any error.

    The content is flushed to disk before the rename, so a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    try:
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Like `atomic_path` for a directory; an existing one under the final name is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    part.mkdir()
    try:
        yield part
        if path.exists():
            old = part.with_name(part.name + ".old")
            os.replace(path, old)
            try:
                os.replace(part, path)
            except BaseException:
                os.replace(old, path)
                raise
            shutil.rmtree(old)
        else:
            os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def remove_parts(directory: Path) -> int:
    """Delete what an interrupted writer left in `directory`; the number of things removed."""
    left = [p for p in directory.glob(f".*{PART_SUFFIX}*") if p.is_dir() or p.is_file()]
    for part in left:
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    return len(left)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and Inf are refused: they are not JSON."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def inside(root: Path, name: str, where: Path | str) -> Path:
    """The path of a file that another file names, which must lie in `root`, also behind symbolic links.

    Args:
        name: as it was read, relative to `root`.
        where: the file that names it.

    Raises:
        DataError: the name is absolute, climbs out of `root`, or is a link that leads out of it.
    """
    parts = name.replace("\\", "/").split("/")
    path = root / name
    plain = bool(name) and "\0" not in name and not Path(name).is_absolute() and ".." not in parts
    plain = plain and not (len(parts[0]) > 1 and parts[0][1] == ":")  # a drive of Windows
    if plain and path.resolve().is_relative_to(root.resolve()):
        return path
    raise DataError(
        "a name leads out of its directory",
        where=str(where),
        expected=f"a file inside {root}",
        got=repr(name) + (f", which is a link to {path.resolve()}" if plain else ""),
        next_step="fetch it again from a source you trust; a file kept elsewhere can be copied here",
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: the file is missing, is not JSON or is nested without end.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError("a file is missing", where=str(path), expected="a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise DataError("a file is not JSON", where=str(path), got=str(error)) from error


def sha256_file(path: Path) -> str:
    """sha256 of a file's content, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def cache_directory() -> Path:
    """Where the suite keeps what it can fetch again: $VLA_CACHE, else `vla` in the user's cache."""
    if given := os.environ.get("VLA_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vla"
