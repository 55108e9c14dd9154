"""A bucket behind the storage JSON API (https://cloud.google.com/storage/docs/json_api), without credentials.

`STORAGE_EMULATOR_HOST` names another endpoint, as it does for Google's own clients.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from vla_data.errors import DataError
from vla_data.openx import web
from vla_data.openx.faults import Patience, SourceError
from vla_data.openx.remote import RemoteObject, require_plain, require_same, sort_versions

ENDPOINT = "https://storage.googleapis.com"
FIELDS = "name,size,md5Hash,crc32c,generation"


class Bucket:
    """A bucket behind the storage JSON API."""

    def __init__(self, bucket: str, prefix: str, patience: Patience) -> None:
        self.bucket, self.prefix, self.patience = bucket, prefix, patience
        host = os.environ.get("STORAGE_EMULATOR_HOST") or ENDPOINT
        endpoint = (host if "://" in host else f"http://{host}").rstrip("/")
        self._api = f"{endpoint}/storage/v1/b/{quote(bucket, safe='')}/o"
        self._listed: dict[str, dict[str, RemoteObject]] = {}

    @property
    def address(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    def versions(self, name: str) -> list[str]:
        """What there is of a data set."""
        start = self._path(name)
        found = [str(p) for page in self._pages(start, "/") for p in page.get("prefixes") or ()]
        return sort_versions([p.removeprefix(start).strip("/") for p in found])

    def where(self, name: str, version: str) -> str:
        """How messages name a data set."""
        return f"gs://{self.bucket}/{self._path(name, version)}"

    def objects(self, name: str, version: str, names: Sequence[str] = ()) -> dict[str, RemoteObject]:
        """Every file of a version, by name.

        Raises:
            SourceError: it cannot be listed.
            DataError: a name leads out of the data set.
        """
        start = self._path(name, version)
        if start not in self._listed:
            items = [i for page in self._pages(start, "") for i in page.get("items") or ()]
            found = [self._object(item, start) for item in items]
            self._listed[start] = {o.name: o for o in found if o.name and "/" not in o.name}
        return self._listed[start]

    def refresh(self, obj: RemoteObject) -> RemoteObject:
        """The object as it is now."""
        item = web.get_json(f"{obj.url}?{urlencode({'fields': FIELDS})}", self.patience)
        return replace(self._object(item, item.get("name", "").rpartition("/")[0] + "/"), name=obj.name)

    @contextmanager
    def open(self, obj: RemoteObject, start: int) -> Iterator[web.Body]:
        """The bytes of this generation of the object."""
        query = urlencode({"alt": "media", "ifGenerationMatch": obj.generation})
        with web.open_body(f"{obj.url}?{query}", start, obj.size, {}, self.patience) as (body, headers):
            require_same(obj, headers.get("x-goog-generation") or obj.generation)
            yield body

    def _path(self, *parts: str) -> str:
        return "/".join(filter(None, (self.prefix, *parts))) + "/"

    def _pages(self, prefix: str, delimiter: str) -> Iterator[dict[str, Any]]:
        asked = {"prefix": prefix, "fields": f"items({FIELDS}),prefixes,nextPageToken"}
        asked |= {"delimiter": delimiter} if delimiter else {}
        token, seen = "", {""}
        while True:
            page = web.get_json(
                f"{self._api}?{urlencode(asked | ({'pageToken': token} if token else {}))}", self.patience
            )
            yield page
            token = str(page.get("nextPageToken") or "")
            if token in seen:
                if token:
                    raise SourceError("a listing goes round in circles", where=f"gs://{self.bucket}/{prefix}")
                return
            seen.add(token)

    def _object(self, item: dict[str, Any], prefix: str) -> RemoteObject:
        try:
            full, size, generation = str(item["name"]), int(item["size"]), str(item["generation"])
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(
                "a listing lacks name, size or generation", where=self.address, got=repr(item)[:200]
            ) from error
        if not full.startswith(prefix) or size < 0:
            raise DataError(
                "a listing names what was not asked for", where=f"gs://{self.bucket}/{prefix}", got=repr(full)
            )
        name = full[len(prefix) :]
        require_plain(name.rstrip("/"), self.address)
        url = f"{self._api}/{quote(full, safe='')}"
        name = "" if name.endswith("/") else name  # a directory's placeholder
        return RemoteObject(
            name, size, url, str(item.get("crc32c", "")), str(item.get("md5Hash", "")), generation
        )
