"""What goes over the wire: who we say we are, where we let ourselves be sent, what we take from a listing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.download_faults import INFO, SHARD, write_source
from tests.data.storage_server import Fault, Storage, serve

from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.files import inside
from vla_data.openx import web
from vla_data.openx.faults import MissingError, Patience, SourceError, TransientError
from vla_data.openx.remote import require_plain, sort_versions
from vla_data.openx.sources import open_source

BRIEF = Patience(attempts=2, first_delay=0.001, timeout=1.0)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    write_source(tmp_path)
    with serve(tmp_path) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url.removeprefix("http://"))
        yield storage


def test_every_request_names_the_package_and_asks_for_no_encoding(storage: Storage):
    found = open_source("gs://bucket/robotics", BRIEF).objects("made_up", "1.0.0", ())
    assert len(found) == 7  # over several pages
    assert len(storage.headers) == 3
    for headers in storage.headers:
        assert headers["User-Agent"].startswith("vla-data/")
        assert headers["Accept-Encoding"] == "identity"
        assert "Authorization" not in headers


def test_proxies_are_not_used_for_this_machine(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    web._opener.cache_clear()
    assert web.request(f"{storage.url}/mirror/{INFO}").status == 200
    with pytest.raises(TransientError, match=r"cannot reach host\.invalid"):  # it was sent to the proxy
        web.request("http://host.invalid/")
    web._opener.cache_clear()


def test_a_redirect_to_another_path_is_followed(storage: Storage):
    storage.faults[SHARD].append(Fault("redirect", f"/mirror/{INFO}"))
    assert web.request(f"{storage.url}/mirror/{SHARD}").read() == storage.objects[INFO].data


@pytest.mark.parametrize("target", ["http://a/", "file:///etc/passwd", "ftp://a/", "data:,x", "gopher://a/"])
def test_a_redirect_never_steps_down_from_https(target: str):
    with pytest.raises(HTTPError):
        web._Redirects().redirect_request(Request("https://a/"), None, 302, "Found", {}, target)


def test_other_schemes_are_not_opened():
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "data:,x"):
        with pytest.raises(SourceError):
            web.request(url)


def test_an_answer_without_end_is_not_read_to_it(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vla_data.openx.web.JSON_LIMIT", 100)
    with pytest.raises(SourceError, match="too long"):
        web.get_json(f"{storage.url}/mirror/{INFO}", BRIEF)


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert web._retry_after("17") == 17
    assert web._retry_after("Wed, 21 Oct 2015 07:28:00 GMT") < 0
    assert web._retry_after("soon") == web._retry_after(None) == 0


def test_delays_double_and_end():
    error = SourceError("x")
    waited = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return False

    patience = Patience(attempts=9, first_delay=1.0, longest_delay=8.0)
    for failures in range(1, 9):
        patience.wait(failures, error, Clock())
    assert all(0.5 * d <= w <= d for d, w in zip([1, 2, 4, 8, 8, 8, 8, 8], waited, strict=True))
    with pytest.raises(SourceError, match="9 times in a row"):
        patience.wait(9, error, Clock())


@pytest.mark.parametrize("address", ["sftp://x", "s3://bucket/x"])
def test_another_kind_of_source_is_named(address: str):
    with pytest.raises(UnknownNameError, match="kind of source"):
        open_source(address, BRIEF)


def test_a_source_with_a_password_or_no_directory_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="password"):
        open_source("https://me:secret@host/x", BRIEF)
    with pytest.raises(ConfigError, match="not a directory"):
        open_source(str(tmp_path / "absent"), BRIEF)


def test_a_missing_file_of_a_mirror_is_no_error_and_a_missing_object_is(storage: Storage):
    mirror = open_source(storage.mirror, BRIEF)
    assert set(mirror.objects("made_up", "1.0.0", ["features.json", "absent"])) == {"features.json"}
    found = mirror.objects("made_up", "1.0.0", ["features.json"])["features.json"]
    storage.objects.clear()
    with pytest.raises(MissingError):
        mirror.refresh(found)


def test_versions_are_sorted_as_numbers(storage: Storage):
    assert sort_versions(["0.10.0", "0.2.0", "latest", "1.0"]) == ["0.2.0", "0.10.0"]
    assert open_source("gs://bucket/robotics", BRIEF).versions("made_up") == ["1.0.0"]


@given(st.text(st.sampled_from("a.b/\\:C\0\n-_ 1")) | st.text(max_size=12))
def test_a_listed_name_is_refused_or_stays_inside(name: str):
    root = Path("/nowhere/root")
    try:
        require_plain(name, "a listing")
        path = inside(root, name, root)
    except DataError:
        return
    assert path.resolve().is_relative_to(root)
    assert not re.search(r"\\|\n|\0", name)
