"""A small page about the robot, served beside the MCP endpoint: camera, state, jobs, a button that stops it.

The page itself holds no data and asks for a token, which stays in its tab and fetches what it shows.
"""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import Any

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from vla_data.errors import VlaError
from vla_model.serving.audit import AuditLog
from vla_model.serving.guard import CALLER
from vla_model.serving.robot_tools import RobotTools, info_of

SECURE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def add_status_page(server: MCPServer[Any], tools: RobotTools, audit: AuditLog) -> None:
    """Add the page, what it fetches, and its buttons."""
    _add_view(server, tools)
    _add_buttons(server, tools, audit)


def _add_view(server: MCPServer[Any], tools: RobotTools) -> None:
    text = files("vla_model.serving").joinpath("status_page.html").read_text(encoding="utf-8")

    @server.custom_route("/", methods=["GET"])
    async def page(request: Request) -> Response:
        return HTMLResponse(text, headers=SECURE)

    @server.custom_route("/healthz", methods=["GET"])
    async def healthz(request: Request) -> Response:
        return PlainTextResponse("OK\n")

    @server.custom_route("/status", methods=["GET"])
    async def status(request: Request) -> Response:
        try:
            told = await anyio.to_thread.run_sync(tools.link.ask, "state")
            cadence = await anyio.to_thread.run_sync(tools.link.ask, "cadence")
        except VlaError as error:
            return JSONResponse({"error": str(error)}, 503)
        state = tools.state_of(told)
        jobs = [vars(info_of(job)) for job in tools.jobs.all()[-5:]]
        return JSONResponse(
            {
                "robot": tools.link.spec.name,
                "phase": state.phase,
                "stopped_for": state.stopped_for,
                "moved_by": state.moved_by,
                "scene": state.scene,
                "values": state.values,
                "jobs": jobs[::-1],
                "cadence": {k: cadence[k] for k in ("ticks", "late_share", "p99", "episodes")},
                "cameras": [c.name for c in tools.link.cameras],
                "you": {"name": request.scope[CALLER].name, "scopes": list(request.scope[CALLER].scopes)},
            },
            headers=SECURE,
        )

    @server.custom_route("/camera.png", methods=["GET"])
    async def camera(request: Request) -> Response:
        try:
            data = await anyio.to_thread.run_sync(tools.picture, request.query_params.get("name", ""))
        except VlaError as error:
            return PlainTextResponse(str(error), 404)
        return Response(data, media_type="image/png", headers=SECURE)


def _add_buttons(server: MCPServer[Any], tools: RobotTools, audit: AuditLog) -> None:
    @server.custom_route("/stop", methods=["POST"])
    async def stop(request: Request) -> Response:
        caller = request.scope[CALLER].name
        reason = f"the button of the status page ({caller})"
        try:
            await tools.stop_now(reason)
        except VlaError as error:
            audit.add(caller, "stop (page)", "error")
            return JSONResponse({"error": str(error)}, 503)
        audit.add(caller, "stop (page)", "ok")
        return JSONResponse({"stopped_for": reason})

    @server.custom_route("/reset_stop", methods=["POST"])
    async def reset_stop(request: Request) -> Response:
        audit.add(request.scope[CALLER].name, "reset_stop (page)", "ok")  # the guard asks for its scope
        await anyio.to_thread.run_sync(partial(tools.link.ask, "reset_stop"))
        return JSONResponse({"stopped_for": None})
