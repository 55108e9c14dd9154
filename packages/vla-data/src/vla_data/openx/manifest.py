"""`download.json`: what a data set's directory holds, where it came from, and whether it was verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import read_json, write_json
from vla_data.openx.remote import RemoteObject

FILE_NAME = "download.json"


@dataclass(frozen=True)
class FileEntry:
    """A file as it was listed, the crc32c of what arrived, and the time of the file that was written.

    A file whose size and time still fit is not read again to resume; both are empty for one that is only
    streamed.
    """

    listed: RemoteObject
    crc32c: str = ""
    mtime_ns: int = 0


@dataclass(frozen=True)
class DownloadManifest:
    """Of one data set.

    Args:
        source: address it came from.
        mode: `copy` when its shards lie beside this file, `stream` when they are fetched as they are read.
        state: `incomplete` until it ended either way.
        reason: why it failed.
        files: by name.
        subset: split → the shards that were asked for; empty when all of them are meant.
        published: sha256 of the source's dataset_info.json.
    """

    name: str
    version: str
    source: str
    mode: Literal["copy", "stream"]
    state: Literal["incomplete", "verified", "failed"] = "incomplete"
    reason: str = ""
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    subset: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    published: str = ""
    format: int = 1

    def save(self, directory: Path) -> None:
        write_json(directory / FILE_NAME, to_dict(self))


def load_manifest(directory: Path) -> DownloadManifest | None:
    """The manifest in a directory; None when there is none.

    Raises:
        DataError: it cannot be read.
    """
    path = directory / FILE_NAME
    if not path.is_file():
        return None
    try:
        return from_dict(DownloadManifest, read_json(path), where=str(path))
    except ConfigError as error:
        raise DataError(
            "the manifest of a download cannot be read",
            where=str(path),
            got=str(error),
            next_step=f"remove it and download again: what is whole is kept: rm {path}",
        ) from error
