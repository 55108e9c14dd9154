"""One object from a source onto the disk, whole or not at all.

The bytes go to a hidden `.part` file whose name holds what tells this content from others (generation, size,
checksums); an interrupted transfer goes on there, also in a later process. The file gets its name once
size, checksums and records fit, and is flushed to disk before.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vla_data.errors import DataError, VlaError
from vla_data.files import PART_SUFFIX
from vla_data.openx.checksums import DamagedError, Digests
from vla_data.openx.faults import (
    CancelledError,
    ChangedError,
    DiskSpaceError,
    Patience,
    SourceError,
    TransientError,
)
from vla_data.openx.remote import RemoteObject, Source
from vla_data.openx.web import Body, shown

CHUNK = 1 << 18  # bytes read at once, and at most lost by a kill
TELLING = 1 << 20  # bytes further than ever before that count as progress, so that the patience starts anew
DAMAGED_LIMIT = 3  # times an object may arrive damaged
CHANGED_LIMIT = 3  # times it may change while it is fetched


@dataclass(frozen=True)
class Fetched:
    """An object that arrived: as it was listed last, checksum of its content, faults overcome on the way."""

    obj: RemoteObject
    crc32c: str
    repaired: int


@dataclass
class Transfer:
    """Fetches one object.

    Args:
        source: where from.
        target: the file it becomes.
        patience: how long to go on.
        check: raises DataError when the file in its `.part` cannot be right.
        cancel: set to call the work off; what was fetched is kept for the next attempt.
        on_bytes: told how many bytes of the object are here.
        follow: fetch the newer content of an object that changed, rather than raise ChangedError.
    """

    source: Source
    target: Path
    patience: Patience
    check: Callable[[Path], None]
    cancel: threading.Event = field(default_factory=threading.Event)
    on_bytes: Callable[[int], None] = lambda _: None
    follow: bool = True
    faults: int = 0
    failures: int = 0
    furthest: int = 0
    have: int = 0

    def run(self, obj: RemoteObject) -> Fetched:
        """Fetch until it is right.

        Raises:
            SourceError: the source fails too often, no longer has the object, or changes it again and again.
            DamagedError: it arrives damaged each time.
            DataError: it arrives as published and is no whole shard.
            DiskSpaceError: the disk is full.
            CancelledError: it was called off.
        """
        damaged = changed = 0
        while True:
            try:
                return self._attempt(obj)
            except ChangedError as error:
                now = self.source.refresh(obj)
                if now == obj:
                    self._wait(error)
                else:
                    obj, changed, self.failures, self.furthest = now, changed + 1, 0, 0
                if changed > CHANGED_LIMIT or (changed and not self.follow):
                    raise
            except DamagedError:
                part_path(self.target, obj).unlink(missing_ok=True)
                damaged += 1
                if damaged >= DAMAGED_LIMIT:
                    raise
            except TransientError as error:
                self._wait(error)
            except OSError as error:
                raise _disk_error(self.target, error) from error
            self.faults += 1

    def _wait(self, error: SourceError) -> None:
        """Before the next attempt; the count of failures starts anew when this one came further."""
        if self.have >= self.furthest + TELLING:
            self.furthest, self.failures = self.have, 0
        self.failures += 1
        self.patience.wait(self.failures, error, self.cancel)

    def _attempt(self, obj: RemoteObject) -> Fetched:
        part = part_path(self.target, obj)
        _remove_other_parts(self.target, part)
        digests = Digests()
        with _open_part(part) as handle:
            self._catch_up(handle, obj, digests)
            if self.have < obj.size:
                with self.source.open(obj, self.have) as body:
                    if body.start != self.have:
                        self._start_over(handle, digests)
                    self._receive(body, handle, obj, digests)
            os.fsync(handle.fileno())
        digests.require(obj)
        self._require_right(part, obj)
        os.replace(part, self.target)
        _flush_directory(self.target.parent)
        return Fetched(obj, digests.crc32c, self.faults)

    def _catch_up(self, handle: BinaryIO, obj: RemoteObject, digests: Digests) -> None:
        """Go on behind what an earlier attempt left, if it can be told to be of the same content."""
        size = os.fstat(handle.fileno()).st_size
        if size > obj.size or not (obj.generation or obj.crc32c or obj.md5):
            self._start_over(handle, digests)
            return
        while data := handle.read(CHUNK):
            self._require_wanted()
            digests.update(data)
        self.have = size
        self.on_bytes(size)

    def _start_over(self, handle: BinaryIO, digests: Digests) -> None:
        handle.seek(0)
        handle.truncate()
        digests.restart()
        self.have = 0
        self.on_bytes(0)

    def _receive(self, body: Body, handle: BinaryIO, obj: RemoteObject, digests: Digests) -> None:
        """Write what comes, never more than was listed."""
        while self.have < obj.size:
            self._require_wanted()
            data = body.read(min(CHUNK, obj.size - self.have))
            if not data:
                got = f"{self.have} bytes"
                raise TransientError(
                    "a body ended early", where=shown(obj.url), expected=f"{obj.size} bytes", got=got
                )
            handle.write(data)
            digests.update(data)
            self.have += len(data)
            self.on_bytes(self.have)
        if body.read(1):
            raise ChangedError(
                "a body is longer than listed", where=shown(obj.url), expected=f"{obj.size} bytes"
            )

    def _require_right(self, part: Path, obj: RemoteObject) -> None:
        try:
            self.check(part)
        except DataError as error:
            error.where = (error.where or str(part)).replace(str(part), str(self.target))
            if obj.crc32c or obj.md5:  # it is what was published: fetching it again changes nothing
                part.unlink(missing_ok=True)
                raise
            raise DamagedError(error.message, **_said(error)) from error
        self._require_wanted()

    def _require_wanted(self) -> None:
        if self.cancel.is_set():
            raise CancelledError


def part_path(target: Path, obj: RemoteObject) -> Path:
    """Where the bytes of an object gather before it is whole."""
    identity = hashlib.sha256(repr((obj.generation, obj.size, obj.crc32c, obj.md5)).encode()).hexdigest()
    return target.with_name(f".{target.name}.{identity[:12]}{PART_SUFFIX}")


def _open_part(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "r+b", 0)


def _remove_other_parts(target: Path, keep: Path) -> None:
    """What is left of an earlier generation of the object."""
    for path in target.parent.glob(f".{target.name}.*{PART_SUFFIX}"):
        if path != keep:
            path.unlink(missing_ok=True)


def _flush_directory(path: Path) -> None:
    with suppress(OSError):  # not every file system lets a directory be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _said(error: VlaError) -> dict[str, str | None]:
    return {"where": error.where, "expected": error.expected, "got": error.got, "next_step": error.next_step}


def _disk_error(target: Path, error: OSError) -> VlaError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskSpaceError(
            "no space is left on the disk",
            where=str(target),
            next_step="free some space, then run the same command again: what was fetched is kept",
        )
    return DataError("a file cannot be written", where=str(target), got=error.strerror or str(error))
