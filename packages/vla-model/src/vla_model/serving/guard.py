"""What a request has to pass before an MCP server sees it, and how one knows that its client is still there.

- a Host that is not ours is refused (421): a page in a browser cannot reach the robot by another name
- no or an unknown token: 401; what is beyond the token's scopes: 403; a body over the limit: 413
- short calls are let in a few at a time, so that a stop never waits behind a crowd
- a client that is killed closes its connection: `scope[GONE]` says so, in either era of the protocol

Whoever is refused is written down. Only the status page itself (no data) and `/healthz` are answered without
a token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vla_model.serving.rights import CALL, right_of, right_of_page
from vla_model.serving.tokens import Caller, find_caller

MOST_BODY = 256 * 1024
AT_ONCE = 2
OPEN = ("/", "/healthz")
CALLER, GONE, DONE = "vla.caller", "vla.gone", "vla.done"


class Guard:
    """ASGI middleware.

    Args:
        callers: who may come in.
        waiting: tools that take as long as the robot does.
        first: tools that are never kept waiting.
        hosts: values of the Host header, with their port.
        urgent: by the name of a tool, what is done with its arguments as soon as it is known that it is
            called; what came of it is `scope[DONE]` when the tool itself has its turn.
        refused: told of whoever is: name, what was asked for, reason, address.
    """

    def __init__(
        self,
        app: ASGIApp,
        callers: Sequence[Caller],
        waiting: Sequence[str],
        first: Sequence[str],
        hosts: Sequence[str],
        urgent: Mapping[str, Callable[[Caller, Mapping[str, Any]], Awaitable[Any]]] | None = None,
        refused: Callable[[str, str, str, str], None] | None = None,
    ) -> None:
        self._urgent, self._refused = urgent or {}, refused
        self._app, self._callers = app, callers
        self._uncounted = {*waiting, *first}
        self._hosts = {h.lower() for h in hosts}
        self._room = anyio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if headers.get("host", "").lower() not in self._hosts:
            what = f"host {headers.get('host', '')[:60]}"
            refusal = _refuse(421, "this is another host; if it is not, say so with --public-host")
            await self._turn_away(refusal, "?", what, "host", scope, receive, send)
        elif scope["path"] in OPEN and scope["method"] == "GET":
            await self._app(scope, receive, send)
        else:
            await self._admit(scope, receive, send, headers)

    async def _admit(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        caller = find_caller(self._callers, shown.strip()) if kind.lower() == "bearer" else None
        path = scope["path"][:60]
        if caller is None:
            refusal = _refuse(401, "show a token: Authorization: Bearer …", error="invalid_token")
            await self._turn_away(refusal, "?", path, "token", scope, receive, send)
            return
        body = await _body(receive, headers)
        if body is None:
            refusal = _refuse(413, f"a body has at most {MOST_BODY} bytes")
            await self._turn_away(refusal, caller.name, path, "body", scope, receive, send)
            return
        method, tool = _asked(body)
        what = (tool or method or path)[:60]
        needed = (right_of_page(scope["path"]), right_of(method, tool))  # both: a page may be sent a message
        right = next((r for r in needed if r is not None and r not in caller.scopes), None)
        if right is not None:
            refusal = _refuse(403, f"{what} needs the scope {right}", error="insufficient_scope", scope=right)
            await self._turn_away(refusal, caller.name, what, "scope", scope, receive, send)
            return
        if tool is not None and tool in self._urgent:
            scope[DONE] = await self._urgent[tool](caller, _arguments(body))
        scope[CALLER], scope[GONE] = caller, anyio.Event()
        await self._let_in(scope, receive, send, body, counted=self._counts(scope, tool))

    async def _turn_away(
        self, refusal: Response, name: str, what: str, reason: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._refused is not None:
            address = scope.get("client") or ("",)
            self._refused(name, what, reason, str(address[0]))
        await refusal(scope, receive, send)

    def _counts(self, scope: Scope, tool: str | None) -> bool:
        """Whether a request is one of the short ones that wait for each other."""
        return scope["method"] == "POST" and tool not in self._uncounted and tool is not None

    async def _let_in(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, *, counted: bool
    ) -> None:
        gone: anyio.Event = scope[GONE]
        given = False

        async def replayed() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            if counted:
                async with self._room:
                    if not gone.is_set():  # what a client that hung up had asked for is not done later
                        await self._app(scope, replayed, send)
            else:
                await self._app(scope, replayed, send)
            tasks.cancel_scope.cancel()


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes | None:
    """All of it; None where it is too long."""
    told = headers.get("content-length", "0")
    if not told.isdigit() or int(told) > MOST_BODY:
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _asked(body: bytes) -> tuple[str | None, str | None]:
    """The protocol's method, and the tool that is called, where there is one."""
    try:
        message: Any = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None, None
    method = message.get("method") if isinstance(message, dict) else None
    if not isinstance(method, str):
        return None, None
    params = message.get("params")
    name = params.get("name") if method == CALL and isinstance(params, dict) else None
    return method, name if isinstance(name, str) else None


def _arguments(body: bytes) -> Mapping[str, Any]:
    """Of a tool that is called."""
    told = json.loads(body)["params"].get("arguments")
    return told if isinstance(told, dict) else {}


def _refuse(status: int, said: str, error: str = "", scope: str = "") -> Response:
    headers = {}
    if error:
        parts = [f'error="{error}"', f'error_description="{said}"', *([f'scope="{scope}"'] if scope else [])]
        headers["WWW-Authenticate"] = f"Bearer {', '.join(parts).encode('ascii', 'replace').decode()}"
    return JSONResponse({"error": error or "refused", "error_description": said}, status, headers)
