"""Where the files of data sets come from: a public bucket, a mirror, a directory.

A mirror is any web server with the bucket's paths; it is asked for the files that `dataset_info.json`
declares, since it cannot list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.parse import quote, urlsplit

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.files import inside, read_json
from vla_data.formats.rlds.layout import INFO
from vla_data.openx import web
from vla_data.openx.bucket import Bucket
from vla_data.openx.faults import MissingError, Patience, SourceError
from vla_data.openx.remote import RemoteObject, Source, require_same, sort_versions

PUBLIC = "gs://gresearch/robotics"
ASK_AT_ONCE = 8  # sizes a mirror is asked for at a time


def open_source(address: str, patience: Patience) -> Source:
    """The source at an address: gs://BUCKET/PREFIX, http(s)://…, file://… or a path.

    Raises:
        ConfigError: it holds a password, or there is no such directory.
        UnknownNameError: another kind of address.
    """
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ConfigError("an address holds a user name or password", expected="a public source")
    if parts.scheme == "gs":
        return Bucket(parts.netloc, parts.path.strip("/"), patience)
    if parts.scheme in ("http", "https"):
        return Mirror(address.rstrip("/"), patience)
    if parts.scheme not in ("", "file"):
        raise UnknownNameError("kind of source", f"{parts.scheme}://", ["gs://", "https://", "file://"])
    folder = Path(address.removeprefix("file://")).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            "the source is not a directory", where=address, next_step="name the one above NAME/VERSION"
        )
    return Folder(folder.absolute())


class Mirror:
    """A web server that has the files under NAME/VERSION/ of its base address."""

    def __init__(self, base: str, patience: Patience) -> None:
        self.address, self.patience = base, patience

    def versions(self, name: str) -> list[str]:
        """Nothing: a mirror cannot list."""
        return []

    def where(self, name: str, version: str) -> str:
        """How messages name a data set."""
        return f"{self.address}/{quote(name)}/{quote(version)}/"

    def objects(self, name: str, version: str, names: Sequence[str]) -> dict[str, RemoteObject]:
        """Those of the files that are there."""
        start = self.where(name, version)
        with ThreadPoolExecutor(ASK_AT_ONCE) as pool:
            found = pool.map(lambda n: self._ask(n, start + quote(n)), names)
        return {o.name: o for o in found if o is not None}

    def refresh(self, obj: RemoteObject) -> RemoteObject:
        """The file as it is now."""
        found = self._ask(obj.name, obj.url)
        if found is None:
            raise MissingError("a file is gone from the source", where=obj.url)
        return found

    @contextmanager
    def open(self, obj: RemoteObject, start: int) -> Iterator[web.Body]:
        """The file's bytes, as long as it is the one that was asked about."""
        same = {"If-Range": obj.generation} if start and obj.generation else {}
        with web.open_body(obj.url, start, obj.size, same, self.patience) as (body, headers):
            require_same(obj, _validator(headers))
            yield body

    def _ask(self, name: str, url: str) -> RemoteObject | None:
        try:
            headers = web.head(url, self.patience)
        except MissingError:
            return None
        length = headers.get("Content-Length", "")
        if not length.isdigit():
            raise SourceError(
                "the mirror does not say how long a file is", where=url, expected="Content-Length"
            )
        return RemoteObject(name, int(length), url, generation=_validator(headers))


class Folder:
    """A directory of this machine, or one mounted here."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def address(self) -> str:
        return f"file://{self.root}"

    def versions(self, name: str) -> list[str]:
        """What there is of a data set."""
        if (self.root / INFO).is_file():
            return [str(read_json(self.root / INFO).get("version", ""))]
        above = self.root if self.root.name == name else self.root / name
        return sort_versions([p.name for p in above.iterdir() if p.is_dir()] if above.is_dir() else [])

    def directory(self, name: str, version: str) -> Path:
        """Where a data set lies: below the root, or the root itself."""
        below = (self.root / name / version, self.root / version, self.root)
        return next((p for p in below if (p / INFO).is_file()), below[0])

    def where(self, name: str, version: str) -> str:
        """How messages name a data set."""
        return str(self.directory(name, version))

    def objects(self, name: str, version: str, names: Sequence[str] = ()) -> dict[str, RemoteObject]:
        """Every file of a version, by name; links that lead elsewhere are refused."""
        directory = self.directory(name, version)
        found = sorted(directory.iterdir()) if directory.is_dir() else []
        paths = [p for p in found if p.is_file() and not p.name.startswith(".")]
        return {p.name: self._object(p) for p in paths}

    def refresh(self, obj: RemoteObject) -> RemoteObject:
        """The file as it is now."""
        return self._object(Path(obj.url))

    @contextmanager
    def open(self, obj: RemoteObject, start: int) -> Iterator[web.Body]:
        """The file's bytes."""
        try:
            with Path(obj.url).open("rb") as handle:
                handle.seek(start)
                yield _FileBody(handle.read, start)
        except FileNotFoundError:
            raise MissingError("a file is gone from the source", where=obj.url) from None
        require_same(obj, self.refresh(obj).generation)

    def _object(self, path: Path) -> RemoteObject:
        inside(path.parent, path.name, path.parent)
        status = path.stat()
        return RemoteObject(path.name, status.st_size, str(path), generation=f"{status.st_mtime_ns}")


@dataclass(frozen=True)
class _FileBody:
    read: Callable[[int], bytes]
    start: int


def _validator(headers: Message) -> str:
    """What tells two contents at one address apart: a strong ETag, else the time of the last change."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
