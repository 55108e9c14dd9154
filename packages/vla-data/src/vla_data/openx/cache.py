"""Shards that are fetched when first opened: verified, kept in a cache of bounded size, oldest use out first.

The cache lies in `$VLA_CACHE` (by default `vla` in the user's cache directory) and holds at most
`$VLA_CACHE_GB` gigabytes. Any number of processes may use it at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vla_data.errors import ConfigError, DataError
from vla_data.files import cache_directory, inside
from vla_data.openx.faults import ChangedError, Patience
from vla_data.openx.lock import locked
from vla_data.openx.manifest import FILE_NAME, DownloadManifest, load_manifest
from vla_data.openx.remote import RemoteObject
from vla_data.openx.sources import open_source
from vla_data.openx.transfer import Transfer

log = logging.getLogger(__name__)

DEFAULT_GB = 50.0
LOCK = ".lock"
FOLDER_LETTERS = 16
WORTH_SAYING = 8_000_000  # bytes of a shard that take long enough to say that they are fetched


def cache_limit() -> float:
    """Bytes the cache may hold.

    Raises:
        ConfigError: $VLA_CACHE_GB is not a positive number.
    """
    text = os.environ.get("VLA_CACHE_GB") or str(DEFAULT_GB)
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text) * 1e9
    raise ConfigError("the size of the cache is not a positive number", where="VLA_CACHE_GB", got=text)


@dataclass(frozen=True)
class StreamedShards:
    """The shards of a registered data set whose directory holds only its facts. Picklable.

    Args:
        directory: the data set's.
        patience: how long to go on trying.
    """

    directory: Path
    patience: Patience = field(default_factory=Patience)

    @contextmanager
    def shard(self, name: str) -> Iterator[Path]:
        """A shard's file; while this is held, it is not thrown out. What is mapped outlives that.

        Raises:
            DataError: the manifest does not know it, or it does not arrive as listed.
            SourceError: the source fails.
        """
        listed = self._listed(name)
        root = cache_directory()
        path = inside(root, f"{self._folder(listed)}/{name}", self.directory / FILE_NAME)
        while True:
            self._provide(root, path, listed)
            with locked(root / LOCK, shared=True):
                if path.is_file():
                    _touch(path)
                    yield path
                    return

    @cached_property
    def manifest(self) -> DownloadManifest:
        """What was registered."""
        found = load_manifest(self.directory)
        if found is None:
            raise DataError("a streamed data set lacks its manifest", where=str(self.directory / FILE_NAME))
        return found

    def _listed(self, name: str) -> RemoteObject:
        if name not in self.manifest.files:
            raise DataError("a shard is not part of what was registered", where=str(self.directory), got=name)
        return self.manifest.files[name].listed

    def _folder(self, listed: RemoteObject) -> str:
        """One a content: another generation of a shard is another file."""
        content = (self.manifest.source, listed.url, listed.generation, listed.size, listed.crc32c)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:FOLDER_LETTERS]

    def _provide(self, root: Path, path: Path, listed: RemoteObject) -> None:
        if path.is_file():
            return
        with locked(root / f".{path.parent.name}{LOCK}"):
            if path.is_file():
                return
            make_room(root, cache_limit() - listed.size)
            said = f"fetching {listed.name} ({listed.size / 1e6:,.0f} MB) from {self.manifest.source}"
            log.log(logging.WARNING if listed.size > WORTH_SAYING else logging.INFO, said)
            source = open_source(self.manifest.source, self.patience)
            try:
                Transfer(source, path, self.patience, _check_records, follow=False).run(listed)
            except ChangedError as error:
                name = f"{self.manifest.name}/{self.manifest.version}"
                error.message = "a shard changed at the source since the data set was registered"
                error.next_step = (
                    f"register it again: vla data download {name} --source {self.manifest.source}"
                )
                raise


def make_room(root: Path, limit: float) -> None:
    """Throw out what was used longest ago until at most `limit` bytes are left."""
    with locked(root / LOCK):
        paths = root.glob(f"{'[0-9a-f]' * FOLDER_LETTERS}/*")  # what else lies in the cache is not of shards
        found = [(p.stat().st_atime_ns, p.stat().st_size, p) for p in paths if p.is_file()]
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left <= limit:
                return
            path.unlink()
            left -= size


def _touch(path: Path) -> None:
    """Note when a shard was used, for the order of eviction; its time of change stays, caches go by that."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _check_records(path: Path) -> None:
    from vla_data.formats.tfrecord import RecordFile

    for _ in RecordFile(path):
        pass
