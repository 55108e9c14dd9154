"""HTTP as a download needs it, on the standard library alone.

Notable features:
- every socket has a time-out; proxies of the environment are used, but never for this machine itself
- redirects stay on http(s) and never step down from https
- no content encoding is asked for and none is accepted, so nothing can unpack to more than was listed
- every failure is a `SourceError`; a `TransientError` is one that may pass, a `ChangedError` says that the
  object is not the one that was listed
"""

from __future__ import annotations

import json
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol, runtime_checkable
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from vla_data import __version__
from vla_data.openx.faults import ChangedError, MissingError, Patience, SourceError, TransientError

USER_AGENT = f"vla-data/{__version__}"
JSON_LIMIT = 64 << 20  # bytes of a listing's page; real ones have a tenth of it
PASSING = (408, 425, 429, 500, 502, 503, 504)
ELSEWHERE = "name a copy that can be reached: --source https://HOST/PATH, or --source file:///DIRECTORY"


@runtime_checkable
class Body(Protocol):
    """Bytes of an object from `start` on; `read` gives b"" at the end."""

    @property
    def start(self) -> int: ...
    @property
    def read(self) -> Callable[[int], bytes]: ...


def get_json(url: str, patience: Patience) -> dict[str, Any]:
    """A JSON object, asked for again while failures may pass.

    Raises:
        SourceError: it cannot be had, or is not a JSON object.
    """

    def ask() -> dict[str, Any]:
        with request(url, timeout=patience.timeout) as response:
            return _parse(url, _read_all(response, url))

    return patience.insist(ask)


def head(url: str, patience: Patience) -> Message:
    """The headers of an object, asked for again while failures may pass."""

    def ask() -> Message:
        with request(url, method="HEAD", timeout=patience.timeout) as response:
            return response.headers

    return patience.insist(ask)


def _parse(url: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TransientError("an answer is not JSON", where=shown(url), got=str(error)) from error
    if not isinstance(found, dict):
        raise SourceError("an answer is not a JSON object", where=shown(url), got=type(found).__name__)
    return found


def _read_all(response: HTTPResponse, url: str) -> bytes:
    try:
        data = response.read(JSON_LIMIT + 1)
    except (OSError, HTTPException) as error:
        raise TransientError("a connection broke", where=shown(url), got=_words(error)) from error
    if len(data) > JSON_LIMIT:
        raise SourceError("an answer is too long", where=shown(url), expected=f"at most {JSON_LIMIT} bytes")
    return data


def request(
    url: str, headers: Mapping[str, str] | None = None, method: str = "GET", timeout: float = 30.0
) -> HTTPResponse:
    """An answer with status 200 or 206 and no content encoding.

    Raises:
        SourceError: anything else, by its kind.
    """
    ours = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
    try:
        response = _opener(_is_here(url)).open(
            urllib.request.Request(url, headers=ours, method=method), timeout=timeout
        )
    except HTTPError as error:
        error.close()
        raise _refusal(url, error) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, error) from error
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        response.close()
        raise TransientError(
            "an answer is encoded, which was not asked for",
            where=shown(url),
            expected="the object as it is",
            got=f"Content-Encoding: {encoding}",
        )
    return response


@contextmanager
def open_body(
    url: str, start: int, size: int, headers: Mapping[str, str], patience: Patience
) -> Iterator[tuple[Body, Message]]:
    """An object's bytes from `start` on, or from 0 when the server does not know ranges, and the headers.

    Raises:
        ChangedError: the server announces another length than `size`.
        TransientError: the connection breaks, here or in `Body.read`.
    """
    ranged = {"Range": f"bytes={start}-"} if start else {}
    with request(url, {**headers, **ranged}, timeout=patience.timeout) as response:
        begins = _check_range(url, response, start, size)
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.strip() != str(size - begins):
            raise ChangedError(
                "the source announces another length than it listed",
                where=shown(url),
                expected=f"{size - begins} bytes",
                got=f"Content-Length: {announced}",
            )
        yield _Bytes(url, response, begins), response.headers


def _check_range(url: str, response: HTTPResponse, start: int, size: int) -> int:
    """Where the answer's body begins."""
    if response.status != 206:
        return 0
    said = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said.strip())
    if match is None or int(match[1]) != start or match[2] not in ("*", str(size)):
        raise ChangedError(
            "a part of a file is not the one asked for",
            where=shown(url),
            expected=f"bytes {start}-{size - 1}/{size}",
            got=f"Content-Range: {said}",
        )
    return start


class _Bytes:
    def __init__(self, url: str, response: HTTPResponse, start: int) -> None:
        self.url, self.response, self.start = url, response, start

    def read(self, limit: int) -> bytes:
        try:
            return self.response.read1(limit)
        except (OSError, HTTPException, ValueError) as error:
            raise TransientError("a connection broke", where=shown(self.url), got=_words(error)) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            raise HTTPError(req.full_url, code, f"redirect to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _opener(here: bool) -> urllib.request.OpenerDirector:
    """What opens addresses: http and https, nothing else of what urllib knows."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if here else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def shown(url: str) -> str:
    """An address as messages name it, without what is asked of it."""
    return unquote(url.partition("?")[0])


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _refusal(url: str, error: HTTPError) -> SourceError:
    """What a status other than success means."""
    said, code = f"HTTP {error.code} {error.reason}".strip(), error.code
    if code in PASSING:
        passing = TransientError("the source cannot answer now", where=shown(url), got=said)
        passing.after = _retry_after(error.headers.get("Retry-After"))
        return passing
    if code == 404:
        return MissingError("the source does not have this", where=shown(url), got=said)
    if code in (412, 416):
        return ChangedError("a file changed at the source", where=shown(url), got=said)
    if code in (401, 403):
        return SourceError("the source asks for credentials", where=shown(url), got=said, next_step=ELSEWHERE)
    if 300 <= code < 400:
        target = f"{said}, to {error.headers.get('Location', 'nowhere')}"
        return SourceError(
            "a redirect was refused", where=shown(url), expected="http(s), no less safe", got=target
        )
    return SourceError("the source refuses", where=shown(url), got=said)


def _retry_after(said: str | None) -> float:
    """Seconds a Retry-After asks for, given in seconds or as a date; 0 for none."""
    if said is None:
        return 0.0
    try:
        return (
            float(said) if said.strip().isdigit() else parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (ValueError, TypeError):
        return 0.0


def _unreachable(url: str, error: Exception) -> SourceError:
    reason = error.reason if isinstance(error, URLError) else error
    final = isinstance(reason, (ssl.SSLCertVerificationError, ValueError, str))
    kind = SourceError if final else TransientError
    host = urlsplit(url).netloc or "the source"
    return kind(f"cannot reach {host}", where=shown(url), got=_words(reason), next_step=ELSEWHERE)


def _words(reason: Any) -> str:
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
