"""For clients that cannot show a token: an ASGI application that shows one for them, at a port of its own."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class WithToken:
    """Adds the token, and names the port behind in Host and Origin where this one's was named."""

    def __init__(self, app: ASGIApp, token: str, here: int, there: int) -> None:
        self._app, self._token = app, token
        self._here, self._there = f":{here}".encode(), f":{there}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            named = {b"host", b"origin"}
            headers = [
                (k, v.replace(self._here, self._there) if k in named else v) for k, v in scope["headers"]
            ]
            scope = {**scope, "headers": [*headers, (b"authorization", b"Bearer " + self._token.encode())]}
        await self._app(scope, receive, send)
