"""Tables of numbers about files that take long to look through, kept between runs.

Walking the records of a 1 GB shard reads a page for each: 0.07 s from a local disk that has not seen the
file lately, seconds from a network's. A table is one small file in `index` under $VLA_CACHE, else under
`vla` in the user's cache directory. Notable features:
- found by a key (which file), accepted by a stamp (its size and time of change), checked by a digest
- written whole or not at all, a few hundred megabytes at most; a cache that cannot be read or written is
  as good as none
- set VLA_INDEX_CACHE=off to do without
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vla_data.files import write_bytes

log = logging.getLogger(__name__)
MAGIC = b"VLAIDX1\n"
HEADER = struct.Struct("<8s32s32sQ")  # magic, digest of the stamp, digest of the numbers, how many
MIN_RECORDS = 64  # below, looking is as quick as looking up
BYTES_A_FOLDER = 2 << 20  # of 256 folders
SETTLED_SECONDS = 2.0  # a file changed this lately may change again without a new time


def directory() -> Path | None:
    """Where tables are kept; None when they are not to be."""
    if os.environ.get("VLA_INDEX_CACHE", "").lower() in ("off", "0", "no"):
        return None
    if given := os.environ.get("VLA_CACHE"):
        return Path(given).expanduser() / "index"
    with suppress(RuntimeError):  # nobody's home
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vla" / "index"
    return None


def load(key: str, stamp: str) -> Int64[np.ndarray, "n"] | None:
    """The table under `key`, if it was stored with this `stamp` and is whole."""
    path = _path(key)
    if path is None:
        return None
    with suppress(OSError, struct.error):
        data = path.read_bytes()
        magic, stamped, digest, count = HEADER.unpack_from(data)
        body = data[HEADER.size :]
        good = magic == MAGIC and stamped == _digest(stamp.encode()) and len(body) == 8 * count
        if good and digest == _digest(body):
            return np.frombuffer(body, "<i8").astype(np.int64)
    return None


def store(key: str, stamp: str, table: Int64[np.ndarray, "n"]) -> None:
    """Keep a table; older ones make room."""
    path = _path(key)
    if path is None:
        return
    body = table.astype("<i8").tobytes()
    data = HEADER.pack(MAGIC, _digest(stamp.encode()), _digest(body), len(table)) + body
    if len(data) > BYTES_A_FOLDER:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_room(path.parent, len(data))
        write_bytes(path, data)
    except OSError as error:
        log.debug("an index could not be kept under %s: %s", path, error)


def stamp_of(*paths: Path) -> str | None:
    """Sizes and times of files; None where one is absent or changed a moment ago."""
    try:
        stats = [path.stat() for path in paths]
    except OSError:
        return None
    if any(time.time() - s.st_mtime < SETTLED_SECONDS for s in stats):
        return None
    return " ".join(f"{s.st_size}:{s.st_mtime_ns}" for s in stats)


def record_lengths(path: Path, scan: Callable[[], Int64[np.ndarray, "n"]]) -> Int64[np.ndarray, "n"]:
    """The lengths of a file's records, from the cache or by `scan`, which is then kept.

    The caller holds the lengths against the file's size: a table that does not add up is not used.
    """
    key = f"records {path.resolve()}"
    stamp = stamp_of(path)
    found = load(key, stamp) if stamp else None
    if found is not None:
        return found
    lengths = scan()
    if stamp and len(lengths) >= MIN_RECORDS:
        store(key, stamp, lengths)
    return lengths


def _path(key: str) -> Path | None:
    base = directory()
    name = hashlib.sha256(key.encode()).hexdigest()
    return base / name[:2] / f"{name[2:]}.idx" if base else None


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _make_room(folder: Path, size: int) -> None:
    """Remove the oldest tables of a folder until `size` more bytes fit."""
    with os.scandir(folder) as entries:
        found = sorted((e.stat().st_mtime, e.stat().st_size, e.path) for e in entries if e.is_file())
    total = sum(n for _, n, _ in found) + size
    for _, n, path in found:
        if total <= BYTES_A_FOLDER:
            break
        with suppress(OSError):
            os.unlink(path)
        total -= n
