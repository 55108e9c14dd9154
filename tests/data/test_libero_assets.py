"""LIBERO's assets: a copy that is here, or fetched from a hub that breaks off, lies and comes back."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from vla_data.errors import DataError, MissingDependencyError
from vla_data.files import cache_directory
from vla_data.sim import libero_assets, libero_names
from vla_data.sim.libero_assets import FOLDERS, REPOSITORY, remembered, setup_libero

COMMIT = "0" * 39 + "1"
FILES = {f"{folder}/{i}.bin": bytes([i]) * 100 for i, folder in enumerate(FOLDERS)} | {
    "wall.xml": b"<mujoco/>",
    "textures/large.png": b"p" * 300_000,
}
LARGE = {"textures/large.png"}  # kept apart by the hub, with a sha256


def git_sha(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a client asks for."""

    protocol_version = "HTTP/1.1"
    broken: ClassVar[set[str]] = set()
    wrong: ClassVar[set[str]] = set()
    fetched: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            return self._json([self._entry(name, data) for name, data in FILES.items()], body)
        if path.startswith(f"/api/models/{REPOSITORY}"):
            siblings = [{"rfilename": name} for name in FILES]
            return self._json({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}, body)
        prefix = f"/{REPOSITORY}/resolve/{COMMIT}/"
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in FILES:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._file(name, body)

    def _entry(self, name: str, data: bytes) -> dict:
        entry = {"type": "file", "path": name, "size": len(data), "oid": git_sha(data)}
        if name in LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def _json(self, value: object, body: bool) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _file(self, name: str, body: bool) -> None:
        data = FILES[name]
        if name in self.wrong:
            data = bytes([data[0] ^ 1]) + data[1:]
        begin = 0
        if asked := self.headers.get("Range"):
            begin = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        sha = hashlib.sha256(FILES[name]).hexdigest() if name in LARGE else git_sha(FILES[name])
        self.send_header("ETag", f'"{sha}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if not body:
            return
        self.fetched.append(name)
        if name in self.broken:
            self.broken.discard(name)
            self.wfile.write(data[begin : begin + 1000])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(data[begin:])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    for kept in (Hub.broken, Hub.wrong):
        kept.clear()
    Hub.fetched.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(libero_names.ASSETS_VARIABLE, raising=False)
    yield Hub
    server.shutdown()
    thread.join()
    server.server_close()


def copy(folder: Path) -> Path:
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_copy_that_is_here_is_remembered(hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(libero_names, "package_folder", lambda: tmp_path / "package")
    with pytest.raises(MissingDependencyError, match="vla sim setup libero"):
        libero_names.assets_folder()
    assets = copy(tmp_path / "copy")
    found = setup_libero(assets)
    assert found["assets"] == str(assets)
    assert libero_names.assets_folder() == assets.resolve()
    assert hub.fetched == []
    other = copy(tmp_path / "other")
    monkeypatch.setenv(libero_names.ASSETS_VARIABLE, str(other))  # a person's word counts more
    assert libero_names.assets_folder() == other.resolve()


def test_what_is_no_copy_is_named_and_nothing_is_remembered(hub, tmp_path: Path):
    assets = copy(tmp_path / "copy")
    (assets / "scenes" / "1.bin").unlink()
    (assets / "scenes").rmdir()
    with pytest.raises(DataError, match="no scenes"):
        setup_libero(assets)
    with pytest.raises(DataError, match="not LIBERO's folder"):
        setup_libero(tmp_path / "absent")
    assert remembered() is None


def test_assets_are_fetched_and_checked(hub):
    found = setup_libero()
    folder = Path(found["assets"])
    assert folder == cache_directory() / "libero-assets"
    assert {n: (folder / n).read_bytes() for n in FILES} == FILES
    assert found["files_checked"] == len(FILES)
    assert libero_names.assets_folder() == folder.resolve()
    hub.fetched.clear()
    setup_libero()
    assert hub.fetched == []  # what is here is not fetched again


def test_a_fetch_that_breaks_off_goes_on(hub):
    hub.broken.add("textures/large.png")
    with suppress(DataError):  # the library may go on by itself
        setup_libero()
    setup_libero()
    assert (cache_directory() / "libero-assets" / "textures/large.png").read_bytes() == FILES[
        "textures/large.png"
    ]


def test_files_that_are_not_as_published_are_not_used(hub):
    hub.wrong |= {"textures/large.png", "wall.xml"}
    with pytest.raises(DataError, match="2 others"):
        setup_libero()
    assert remembered() is None
    hub.wrong.clear()
    hub.fetched.clear()
    assert setup_libero()["files_checked"] == len(FILES)
    assert sorted(hub.fetched) == ["textures/large.png", "wall.xml"]


def test_a_hub_that_is_not_there_is_named(hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="cannot be fetched") as error:
        setup_libero()
    assert "--assets DIR" in str(error.value)
    monkeypatch.setattr(libero_assets, "REPOSITORY", "nobody/nothing")
    assert remembered() is None
