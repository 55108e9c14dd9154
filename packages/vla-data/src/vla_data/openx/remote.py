"""What a source of files is: objects with a size and what tells them from others, and a way to read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vla_data.errors import DataError
from vla_data.openx.faults import ChangedError
from vla_data.openx.web import Body, shown

VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class RemoteObject:
    """A file at a source.

    Args:
        name: inside the data set's version.
        size: bytes.
        url: where it lies.
        crc32c: as the JSON API writes it, base64 of 4 bytes big-endian; empty when not published.
        md5: base64; empty when not published.
        generation: tells this content from earlier and later ones; empty when the source has none.
    """

    name: str
    size: int
    url: str
    crc32c: str = ""
    md5: str = ""
    generation: str = ""


@runtime_checkable
class Source(Protocol):
    """A place that data sets can be had from."""

    @property
    def address(self) -> str: ...
    def versions(self, name: str) -> list[str]: ...
    def where(self, name: str, version: str) -> str: ...
    def objects(self, name: str, version: str, names: Sequence[str]) -> dict[str, RemoteObject]: ...
    def refresh(self, obj: RemoteObject) -> RemoteObject: ...
    def open(self, obj: RemoteObject, start: int) -> AbstractContextManager[Body]: ...


def require_plain(name: str, where: str) -> None:
    """Raise DataError unless a name from a listing is a plain relative one."""
    bad = "\\" in name or name.startswith("/") or not name.isprintable() or re.match("[A-Za-z]:", name)
    if bad or set(name.split("/")) & {"..", "."}:
        raise DataError(
            "a listing holds a name that leads out of the data set",
            where=where,
            expected="plain relative names",
            got=repr(name),
            next_step="do not use this source",
        )


def sort_versions(names: Sequence[str]) -> list[str]:
    """Those of the names that are versions, the newest last."""
    found = [n for n in names if VERSION.fullmatch(n)]
    return sorted(found, key=lambda v: tuple(map(int, v.split("."))))


def require_same(obj: RemoteObject, generation: str) -> None:
    """Raise ChangedError unless this is the generation that was listed."""
    if generation != obj.generation:
        raise ChangedError(
            "a file changed at the source", where=shown(obj.url), expected=f"{obj.generation}", got=generation
        )
