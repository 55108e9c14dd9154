"""A server on loopback that speaks the storage JSON API, serves the files as a mirror too, and misbehaves.

Faults are queued by object; each spoils one request and is then used up, or stays for good. Used by the
tests of downloads and by `benchmarks/download_faults.py`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import crc32c

BUCKET = "bucket"
API = f"/storage/v1/b/{BUCKET}/o"
MIRROR = "/mirror/"
PAGE = 3  # items of a page of a listing, so that small data sets have several
BLOCK = 1 << 13


@dataclass
class Fault:
    """What goes wrong with a request for an object's bytes.

    Args:
        kind: name of a method `_fault_…` of the handler.
        value: a number of bytes, a status, an address, …
        lasting: every request is spoilt, not one.
    """

    kind: str
    value: Any = None
    lasting: bool = False


@dataclass
class Stored:
    """An object in the bucket."""

    data: bytes
    generation: int = 1000

    def item(self, name: str) -> dict[str, Any]:
        checksum = crc32c.crc32c(self.data).to_bytes(4, "big")
        return {
            "name": name,
            "size": str(len(self.data)),
            "generation": str(self.generation),
            "crc32c": base64.b64encode(checksum).decode(),
            "md5Hash": base64.b64encode(hashlib.md5(self.data).digest()).decode(),
        }


@dataclass
class Storage:
    """The bucket, its faults and what was asked of it.

    Args:
        objects: full name → content.
        faults: full name, or `list` for listings → what is to go wrong, in order.
        tamper: changes the items of a listing.
        rate: bytes per second and connection; None for as fast as it goes.
        on_block: called with the number of bytes sent so far.
        etags: the mirror says which content a file has.
        replacement: full name → what `change` puts there; the same again where nothing is given.
    """

    objects: dict[str, Stored]
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    tamper: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda items: items
    rate: float | None = None
    on_block: Callable[[int], None] = lambda sent: None
    etags: bool = True
    replacement: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    @property
    def mirror(self) -> str:
        return f"{self.url}{MIRROR}robotics"

    def take(self, key: str) -> Fault | None:
        """The next fault of an object."""
        queue = self.faults[key]
        if not queue:
            return None
        return queue[0] if queue[0].lasting else queue.pop(0)


@contextmanager
def serve(directory: Path, prefix: str = "robotics") -> Iterator[Storage]:
    """The files below a directory as a bucket, until the block is left."""
    files = {p.relative_to(directory).as_posix(): p for p in sorted(directory.rglob("*")) if p.is_file()}
    storage = Storage({f"{prefix}/{name}": Stored(p.read_bytes()) for name, p in files.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"storage": storage}))
    server.daemon_threads = True
    storage.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield storage
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    storage: Storage
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.storage.log.append((self.command, unquote(self.path), self.headers.get("Range")))
        self.storage.headers.append(dict(self.headers.items()))
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):
            if parts.path == API:
                self._list(query)
            elif parts.path.startswith(API + "/"):
                self._object(unquote(parts.path[len(API) + 1 :]), query)
            elif parts.path.startswith(MIRROR):
                self._file(unquote(parts.path[len(MIRROR) :]))
            else:
                self._answer(404)

    def _list(self, query: dict[str, str]) -> None:
        fault = self.storage.take("list")
        if fault is not None and fault.kind == "status":
            return self._fault_status(fault.value)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names = [n for n in sorted(self.storage.objects) if n.startswith(prefix)]
        if delimiter:
            heads = sorted({prefix + n[len(prefix) :].split(delimiter)[0] + delimiter for n in names})
            return self._json({"prefixes": heads})
        items = self.storage.tamper([self.storage.objects[n].item(n) for n in names])
        start = int(query.get("pageToken", "0"))
        page: dict[str, Any] = {"items": items[start : start + PAGE]}
        if start + PAGE < len(items):
            page["nextPageToken"] = str(start + PAGE)
        if fault is not None and fault.kind == "circle":
            page["nextPageToken"] = "0"
        return self._json(page)

    def _object(self, name: str, query: dict[str, str]) -> None:
        stored = self.storage.objects.get(name)
        if stored is None:
            return self._answer(404)
        if query.get("alt") != "media":
            return self._json(stored.item(name))
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and wanted != str(stored.generation):
            return self._answer(412)
        return self._media(name, stored, {"x-goog-generation": str(stored.generation)})

    def _file(self, name: str) -> None:
        stored = self.storage.objects.get(name)
        if stored is None:
            return self._answer(404)
        etag = f'"{stored.generation}"'
        headers = {"ETag": etag} if self.storage.etags else {}
        if self.command == "HEAD":
            return self._answer(200, {"Content-Length": str(len(stored.data)), **headers})
        if self.headers.get("If-Range", etag) != etag:
            del self.headers["Range"]
        return self._media(name, stored, headers)

    def _media(self, name: str, stored: Stored, headers: dict[str, str]) -> None:
        fault = self.storage.take(name)
        if fault is None:
            return self._send(stored.data, headers)
        return getattr(self, f"_fault_{fault.kind}")(fault.value, name, stored, headers)

    def _send(
        self, data: bytes, headers: dict[str, str], ranged: bool = True, cut: int | None = None
    ) -> None:
        """The whole or the range asked for; `cut` hangs up behind so many bytes."""
        start, size = 0, len(data)
        if ranged and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").split("-")[0])
            if start >= size:
                return self._answer(416)
            headers = {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in {"Content-Length": str(size - start), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self._pour(data[start:] if cut is None else data[start : start + cut])
        if cut is not None:
            self._hang_up()
        return None

    def _pour(self, data: bytes) -> None:
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            self.wfile.write(block)
            self.storage.sent += len(block)
            self.storage.on_block(self.storage.sent)
            if self.storage.rate:
                time.sleep(len(block) / self.storage.rate)

    def _hang_up(self) -> None:
        self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, code: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in ({"Content-Length": "0"} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self._answer(200, {"Content-Length": str(len(data)), "Content-Type": "application/json"})
        self.wfile.write(data)

    def _fault_status(self, value: Any, *_: Any) -> None:
        """A status, with Retry-After where a pair is given."""
        code, after = value if isinstance(value, tuple) else (value, None)
        self._answer(code, {} if after is None else {"Retry-After": str(after)})

    def _fault_cut(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """The connection ends behind `value` bytes of what was announced."""
        self._send(stored.data, headers, cut=value)

    def _fault_short(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """A body that is `value` bytes shorter, and announced so."""
        self._send(stored.data[:-value], headers)

    def _fault_flip(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """One byte is wrong."""
        data = bytearray(stored.data)
        data[value % len(data)] ^= 1
        self._send(bytes(data), headers)

    def _fault_empty(self, _v: Any, _: str, _s: Stored, headers: dict[str, str]) -> None:
        """Nothing, with status 200."""
        self._answer(200, headers)

    def _fault_change(self, value: int, name: str, stored: Stored, headers: dict[str, str]) -> None:
        """The object is replaced while it is sent: `value` bytes of the old one come."""
        old = stored.data
        new = self.storage.replacement.get(name, old)
        self.storage.objects[name] = Stored(new, stored.generation + 1)
        self._send(old, headers, cut=value)

    def _fault_gzip(self, _v: Any, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """Compressed, though nobody asked for it."""
        self._send(gzip.compress(stored.data), {**headers, "Content-Encoding": "gzip"}, ranged=False)

    def _fault_bomb(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """A little that unpacks to `value` bytes."""
        packed = gzip.compress(bytes(value))
        self._send(packed, {**headers, "Content-Encoding": "gzip"}, ranged=False)

    def _fault_huge(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """Far more is announced than was listed."""
        self._answer(200, {**headers, "Content-Length": str(value)})
        self._pour(stored.data)

    def _fault_endless(self, value: int, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """No length is announced, and `value` bytes more come than were listed."""
        self.send_response(200)
        for key, said in headers.items():
            self.send_header(key, said)
        self.end_headers()
        self._pour(stored.data + bytes(value))

    def _fault_redirect(self, value: str, *_: Any) -> None:
        """Elsewhere."""
        self._answer(302, {"Location": value})

    def _fault_stall(self, value: float, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """Half of it, and then silence."""
        self._send(stored.data[: len(stored.data) // 2], {**headers, "Content-Length": str(len(stored.data))})
        time.sleep(value)

    def _fault_norange(self, _v: Any, _: str, stored: Stored, headers: dict[str, str]) -> None:
        """Ranges are not known here."""
        self._send(stored.data, headers, ranged=False)
