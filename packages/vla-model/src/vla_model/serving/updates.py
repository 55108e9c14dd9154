"""Who wants to hear that a resource changed, in either era of the protocol, told from any thread."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp_types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

log = logging.getLogger(__name__)
MOST = 64  # resources that are subscribed to, and subscribers of each


class Updates:
    """Tells subscribers of changes.

    The newer era listens on a stream (`subscriptions/listen`), which the SDK serves from `bus`; in the older
    one a session subscribes to a resource (`resources/subscribe`).
    """

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._sessions: dict[str, dict[str, Any]] = {}  # resource → session's name → session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def serve(self, server: MCPServer[Any]) -> None:
        """Answer subscriptions of the older era, for which the SDK's upper layer has no way in."""
        lower = server._lowlevel_server
        lower.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        lower.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    def here(self) -> None:
        """The server's loop is the running one."""
        self._loop = asyncio.get_running_loop()

    def changed(self, *uris: str) -> None:
        """Tell that resources changed; from any thread, at once, and never waits."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        for uri in uris:
            loop.call_soon_threadsafe(self._begin, uri)

    def _begin(self, uri: str) -> None:
        task = asyncio.ensure_future(self._tell(uri))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, uri: str) -> None:
        await self.bus.publish(ResourceUpdated(uri=uri))
        for name, session in list(self._sessions.get(uri, {}).items()):
            try:
                await session.send_resource_updated(uri)
            except Exception:  # a session that is gone
                log.debug("a subscriber is gone", exc_info=True)
                self._sessions[uri].pop(name, None)

    async def _subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        sessions = self._sessions.setdefault(params.uri, {})
        sessions[_name(ctx)] = ctx.session
        while len(sessions) > MOST:
            del sessions[next(iter(sessions))]
        while len(self._sessions) > MOST:  # the resource that was subscribed to first
            del self._sessions[next(iter(self._sessions))]
        return EmptyResult()

    async def _unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        sessions = self._sessions.get(params.uri, {})
        sessions.pop(_name(ctx), None)
        if not sessions:
            self._sessions.pop(params.uri, None)
        return EmptyResult()


def _name(ctx: Any) -> str:
    """Of a session; over stdio there is one."""
    headers = getattr(ctx.request, "headers", None)
    return headers.get("mcp-session-id", "") if headers is not None else ""
