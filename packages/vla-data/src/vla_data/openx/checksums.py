"""Checksums of files as they come, held against those that a source publishes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from vla_data.errors import DataError, MissingDependencyError
from vla_data.openx.remote import RemoteObject
from vla_data.openx.web import shown

READ_AT_ONCE = 1 << 20


class DamagedError(DataError):
    """The bytes that arrived are not those that were published."""


class Digests:
    """Checksums of bytes as they come."""

    def __init__(self) -> None:
        self._crc32c = _crc32c()
        self.restart()

    def restart(self) -> None:
        """Forget what came."""
        self._crc, self._md5 = 0, hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes in."""
        self._crc = self._crc32c(data, self._crc)
        self._md5.update(data)

    @property
    def crc32c(self) -> str:
        """As the storage API writes it: base64 of 4 bytes, big-endian."""
        return base64.b64encode(self._crc.to_bytes(4, "big")).decode()

    def require(self, obj: RemoteObject) -> None:
        """Raise DamagedError unless every published checksum fits."""
        md5 = base64.b64encode(self._md5.digest()).decode()
        for name, expected, got in (("crc32c", obj.crc32c, self.crc32c), ("md5", obj.md5, md5)):
            if expected and expected != got:
                raise DamagedError(
                    "the bytes that arrived do not fit the published checksum",
                    where=shown(obj.url),
                    expected=f"{name} {expected}",
                    got=f"{name} {got}",
                    next_step="run the command again, or name another --source",
                )


def digest_file(path: Path, wanted: Callable[[], None] = lambda: None) -> Digests:
    """Checksums of a file that is here."""
    digests = Digests()
    with path.open("rb") as handle:
        while data := handle.read(READ_AT_ONCE):
            wanted()
            digests.update(data)
    return digests


def _crc32c() -> Callable[[bytes, int], int]:
    try:
        from crc32c import crc32c
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "the package crc32c is not installed",
            expected="the extra rlds of vla-data",
            next_step="pip install 'vla-data[rlds]'",
        ) from error
    return crc32c
