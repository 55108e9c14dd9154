"""What a request has to pass, and how one knows that its client is still there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

pytest.importorskip("mcp")

from starlette.types import Message, Receive, Scope, Send

from vla_data.errors import ConfigError, UnknownNameError
from vla_model.serving.audit import AuditLog
from vla_model.serving.guard import AT_ONCE, CALLER, GONE, MOST_BODY, Guard
from vla_model.serving.mcp_server import FIRST, WAITING
from vla_model.serving.refusals import Refusals
from vla_model.serving.rights import TOOLS as RIGHTS
from vla_model.serving.tokens import (
    SCOPES,
    Caller,
    caller_of,
    find_caller,
    new_callers,
    read_callers,
    scopes_of,
)

HOST = "127.0.0.1:8010"
READER, MOVER = "reader-token-0123456", "mover-token-01234567"
CALLERS = (caller_of("reader", READER, ("read",)), caller_of("mover", MOVER, ("read", "move")))


class Inner:
    """Remembers who came in; waits where it is told to."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes]] = []
        self.wait: anyio.Event | None = None
        self.inside = self.most = 0
        self.gone: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.inside += 1
        self.most = max(self.most, self.inside)
        caller: Caller | None = scope.get(CALLER)
        self.came.append((caller.name if caller else "", message.get("body", b"")))
        if self.wait is not None:
            await self.wait.wait()
        else:
            await anyio.sleep(0.001)
        if GONE in scope:
            self.gone.append(scope[GONE].is_set())
        self.inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})


def call(name: str, **arguments: object) -> bytes:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


async def asked(
    guard: Guard,
    body: bytes = b"",
    token: str | None = MOVER,
    path: str = "/mcp",
    host: str = HOST,
    method: str = "POST",
    gone: anyio.Event | None = None,
    kind: str = "Bearer",
    told_length: bool = True,
) -> tuple[int, dict[str, str]]:
    headers = [(b"host", host.encode())]
    if token is not None:
        headers.append((b"authorization", f"{kind} {token}".encode()))
    if told_length:
        headers.append((b"content-length", str(len(body)).encode()))
    sent: list[Message] = []
    parts = [body[i : i + 100_000] for i in range(0, len(body), 100_000)] or [b""]

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
        await (gone or anyio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("10.0.0.9", 1)}
    await guard(scope, receive, send)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture
def guard(inner: Inner) -> Guard:
    return Guard(inner, CALLERS, WAITING, FIRST, [HOST, "localhost:8010"])


def run(do: Callable, *args: object) -> object:
    return anyio.run(do, *args)


def test_who_shows_a_token_comes_in_and_is_known(guard: Guard, inner: Inner):
    body = call("get_state")
    assert run(lambda: asked(guard, body))[0] == 200  # type: ignore[index]
    assert inner.came == [("mover", body)]


@pytest.mark.parametrize("token", [None, "", "wrong", READER + "x", READER.upper()])
def test_who_shows_none_or_another_does_not(guard: Guard, inner: Inner, token: str | None):
    status, headers = run(lambda: asked(guard, call("get_state"), token))  # type: ignore[misc]
    assert (status, inner.came) == (401, [])
    assert 'error="invalid_token"' in headers["www-authenticate"]


def test_a_token_is_no_password(guard: Guard):
    assert run(lambda: asked(guard, kind="Basic"))[0] == 401  # type: ignore[index]


@pytest.mark.parametrize("tool", [t for t, scope in RIGHTS.items() if scope != "read"])
def test_a_tool_beyond_the_scopes_of_a_token_is_forbidden(guard: Guard, inner: Inner, tool: str):
    status, headers = run(lambda: asked(guard, call(tool), READER))  # type: ignore[misc]
    assert (status, inner.came) == (403, [])
    assert f'scope="{RIGHTS[tool]}"' in headers["www-authenticate"]


@pytest.mark.parametrize("scopes", [("read",), ("move",), ("admin",)])
def test_whoever_may_come_in_may_stop(inner: Inner, scopes: tuple):
    guard = Guard(inner, [caller_of("anybody", MOVER, scopes)], WAITING, FIRST, [HOST])
    assert run(lambda: asked(guard, call("stop")))[0] == 200  # type: ignore[index]


def request(method: str, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


@pytest.mark.parametrize(
    "method",
    ["resources/list", "resources/read", "resources/subscribe", "resources/templates/list", "prompts/list",
     "prompts/get", "completion/complete", "subscriptions/listen", "tasks/result", "something/new"],
)  # fmt: skip
def test_a_token_that_may_only_move_reads_nothing(inner: Inner, method: str):
    guard = Guard(inner, [caller_of("blind", MOVER, ("move",))], WAITING, FIRST, [HOST])
    status, headers = run(lambda: asked(guard, request(method, uri="robot://state")))  # type: ignore[misc]
    assert (status, inner.came) == (403, [])
    assert 'scope="read"' in headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/status", "/camera.png", "/reset_stop", "/status/", "/anything"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_nor_does_it_see_a_page(inner: Inner, path: str, method: str):
    guard = Guard(inner, [caller_of("blind", MOVER, ("move",))], WAITING, FIRST, [HOST])
    assert run(lambda: asked(guard, path=path, method=method))[0] == 403  # type: ignore[index]
    assert run(lambda: asked(guard, request("ping"), path=path, method=method))[0] == 403  # type: ignore[index]
    assert not inner.came


@pytest.mark.parametrize("body", [b"", call("get_state"), call("stop"), request("ping"), b"[]"])
@pytest.mark.parametrize(("scopes", "told"), [(("read", "move"), 403), (SCOPES, 200)])
def test_an_administrator_alone_takes_a_stop_back_whatever_is_sent_along(
    inner: Inner, body: bytes, scopes: tuple, told: int
):
    guard = Guard(inner, [caller_of("anybody", MOVER, scopes)], WAITING, FIRST, [HOST])
    assert run(lambda: asked(guard, body, path="/reset_stop"))[0] == told  # type: ignore[index]


@pytest.mark.parametrize(
    "method", ["initialize", "server/discover", "ping", "tools/list", "notifications/cancelled"]
)
def test_but_it_comes_in(inner: Inner, method: str):
    guard = Guard(inner, [caller_of("blind", MOVER, ("move",))], WAITING, FIRST, [HOST])
    assert run(lambda: asked(guard, request(method)))[0] == 200  # type: ignore[index]
    assert run(lambda: asked(guard, path="/stop"))[0] == 200  # type: ignore[index]


def test_what_a_client_that_hung_up_had_asked_for_is_not_done_later(guard: Guard, inner: Inner):
    async def main() -> None:
        inner.wait, gone = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(lambda: asked(guard, call("get_state")))
            await anyio.sleep(0.02)
            tasks.start_soon(lambda: left(guard, gone))
            await anyio.sleep(0.02)
            gone.set()
            await anyio.sleep(0.02)
            inner.wait.set()

    async def left(guard: Guard, gone: anyio.Event) -> None:
        with pytest.raises(IndexError):  # nothing was answered
            await asked(guard, call("cancel_later"), gone=gone)

    run(main)
    assert len(inner.came) == AT_ONCE


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "", "evil.example:8010"])
@pytest.mark.parametrize("path", ["/mcp", "/", "/status"])
def test_another_host_is_refused_whatever_is_asked(guard: Guard, inner: Inner, host: str, path: str):
    assert run(lambda: asked(guard, host=host, path=path, method="GET"))[0] == 421  # type: ignore[index]
    assert not inner.came


@pytest.mark.parametrize("told", [True, False])
def test_a_body_over_the_limit_is_not_read_on(guard: Guard, inner: Inner, told: bool):
    status, _ = run(lambda: asked(guard, b"x" * (MOST_BODY + 1), told_length=told))  # type: ignore[misc]
    assert (status, inner.came) == (413, [])
    assert run(lambda: asked(guard, b"x" * MOST_BODY))[0] == 200  # type: ignore[index]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"method": "tools/call"}', b"[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_call_is_left_to_the_server(guard: Guard, inner: Inner, body: bytes):
    assert run(lambda: asked(guard, body))[0] == 200  # type: ignore[index]
    assert inner.came[0][1] == body


def test_the_page_without_data_needs_no_token(guard: Guard):
    assert run(lambda: asked(guard, token=None, path="/", method="GET"))[0] == 200  # type: ignore[index]
    assert run(lambda: asked(guard, token=None, path="/status", method="GET"))[0] == 401  # type: ignore[index]


def test_what_is_urgent_is_done_before_the_server_reads_on(inner: Inner):
    stopped: list[tuple[str, int, object]] = []

    async def stop(caller: Caller, arguments: Mapping[str, object]) -> None:
        stopped.append((caller.name, len(inner.came), arguments.get("reason")))

    guard = Guard(inner, CALLERS, WAITING, FIRST, [HOST], {"stop": stop})
    run(lambda: asked(guard, call("get_state")))
    run(lambda: asked(guard, call("stop", reason="a hand"), READER))
    assert run(lambda: asked(guard, call("stop"), "nobody-knows-this"))[0] == 401  # type: ignore[index]
    assert stopped == [("reader", 1, "a hand")]
    odd = b'{"method": "tools/call", "params": {"name": "stop", "arguments": 3}}'
    run(lambda: asked(guard, odd, READER))
    assert stopped[-1] == ("reader", 2, None)


def test_a_client_that_hangs_up_is_missed(guard: Guard, inner: Inner):
    async def main() -> None:
        inner.wait, gone = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: asked(guard, call("run_task"), gone=gone))
            tasks.start_soon(lambda: asked(guard, call("run_task")))
            await anyio.sleep(0.02)
            gone.set()
            await anyio.sleep(0.02)
            inner.wait.set()

    run(main)
    assert inner.gone == [True, False]


def test_short_calls_wait_for_each_other_and_a_stop_for_nobody(guard: Guard, inner: Inner):
    async def main() -> None:
        inner.wait = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(lambda: asked(guard, call("get_state")))
            await anyio.sleep(0.02)
            assert inner.inside == AT_ONCE
            tasks.start_soon(lambda: asked(guard, call("stop")))
            tasks.start_soon(lambda: asked(guard, call("job_status")))
            await anyio.sleep(0.02)
            assert inner.inside == AT_ONCE + 2
            inner.wait.set()

    run(main)
    assert len(inner.came) == 22


# ------------------------------------------------------------------ what is written down


def test_whoever_is_refused_is_written_down(inner: Inner, tmp_path: Path):
    audit = AuditLog(tmp_path / "audit.jsonl")
    guard = Guard(inner, CALLERS, WAITING, FIRST, [HOST], refused=audit.refused)
    run(lambda: asked(guard, host="evil.example"))
    run(lambda: asked(guard, call("get_state"), "a-secret-that-is-wrong"))
    run(lambda: asked(guard, call("run_task"), READER))
    run(lambda: asked(guard, b"x" * (MOST_BODY + 1)))
    run(lambda: asked(guard, call("get_state")))  # who comes in is written down by the server
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    told = [(line["caller"], line["what"], line["reason"], line["remote"], line["count"]) for line in lines]
    assert told == [
        ("?", "host evil.example", "host", "10.0.0.9", 1),
        ("?", "/mcp", "token", "10.0.0.9", 1),
        ("reader", "run_task", "scope", "10.0.0.9", 1),
        ("mover", "/mcp", "body", "10.0.0.9", 1),
    ]
    assert {line["outcome"] for line in lines} == {"refused"}
    assert "secret" not in (tmp_path / "audit.jsonl").read_text()
    assert audit.latest() == lines


def test_a_crowd_is_counted():
    now = 0.0
    refusals = Refusals(lambda: now)
    lines: list[tuple[float, int]] = []
    for step in range(100_000):  # for 1000 seconds
        now = step / 100
        lines += [(now, line["count"]) for line in refusals.add("?", f"/{step}", "token", "10.0.0.9")]
    assert lines[0] == (0.0, 1)
    apart = [after - before for (before, _), (after, _) in itertools.pairwise(lines)]
    assert apart == sorted(apart)
    assert (apart[0], apart[-1]) == (1.0, 60.0)
    assert len(lines) < 25
    (last,) = refusals.due(every=True)
    assert sum(count for _, count in lines) + last["count"] == 100_000
    assert last["what"] == "/99999"
    assert refusals.due(every=True) == []


def test_refusals_of_others_are_not_lost_in_a_crowd_and_a_crowd_is_forgotten():
    now = 0.0
    refusals = Refusals(lambda: now)
    for step in range(1000):
        now = step / 10
        refusals.add("?", "/mcp", "token", "10.0.0.9")
    assert [line["caller"] for line in refusals.add("reader", "run_task", "scope", "10.0.0.7")] == ["reader"]
    now += 1000
    (line,) = refusals.due()
    assert line["count"] > 100
    now += 1000
    assert len(refusals.add("?", "/mcp", "token", "10.0.0.9")) == 1
    now += 1.5
    assert len(refusals.add("?", "/mcp", "token", "10.0.0.9")) == 1


def test_what_is_counted_is_written_with_the_next_line_or_at_the_end(tmp_path: Path):
    audit = AuditLog(tmp_path / "audit.jsonl")
    for _ in range(5):
        audit.refused("?", "/mcp", "token", "10.0.0.9")
    audit.add("reader", "get_state", "ok")
    audit.close()
    audit.add("reader", "get_state", "ok")  # a call that was under way
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["what"], line.get("count")) for line in lines] == [
        ("/mcp", 1), ("get_state", None), ("/mcp", 4)
    ]  # fmt: skip


# ------------------------------------------------------------------ tokens


def test_tokens_are_kept_as_their_digests(tmp_path):
    caller = caller_of("cell", "a-token-of-some-length", ("read", "move"))
    assert "a-token" not in repr(caller)
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[tokens]]\nname = "cell"\nscopes = ["read", "move"]\nsha256 = "{caller.sha256}"\n')
    assert read_callers(path) == (caller,)
    assert find_caller(read_callers(path), "a-token-of-some-length") == caller
    assert find_caller(read_callers(path), "another") is None


@pytest.mark.parametrize(
    "text",
    ["", "tokens = 3", "[[tokens]]\nname='a'\nscopes=['fly']\nsha256='" + "0" * 64 + "'",
     "[[tokens]]\nname='a'\nscopes=['read']\nsha256='00'", "[[tokens]]\nname='a'\ntoken='secret'", "\x00"],
)  # fmt: skip
def test_a_list_of_tokens_that_cannot_be_right_is_refused(tmp_path, text: str):
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_callers(path)


def test_new_tokens_are_an_agents_and_a_persons():
    made = new_callers()
    assert [c.scopes for c in made.values()] == [("read", "move"), SCOPES]
    assert len(made) == 2
    assert all(len(t) >= 32 for t in made)
    with pytest.raises(ConfigError):
        caller_of("x", "short", ("read",))
    with pytest.raises(UnknownNameError):
        scopes_of(["moove"])
