"""`vla serve mcp`: a robot as an MCP server, over stdio or streamable HTTP, in both eras of the protocol.

The server holds no motor: it asks the robot's process (`vla_data.robots.robot_link`) under a lease, as
anyone else would have to. What tools do is in `vla_model.serving.robot_tools`, who may call them in `tokens`
and `guard`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, CallToolResult, TextContent, ToolAnnotations
from pydantic import AnyHttpUrl

from vla_data.types import RobotSpec
from vla_model.serving.audit import AuditLog
from vla_model.serving.guard import CALLER
from vla_model.serving.rights import CALL, right_of
from vla_model.serving.rights import TOOLS as RIGHTS
from vla_model.serving.robot_tools import JobInfo, RobotTools, Seconds, info_of, within
from vla_model.serving.tokens import Caller, find_caller
from vla_model.serving.updates import Updates

NAME = "vla-robot"
WAITING = ("run_task", "job_status", "move_to", "gripper", "describe_scene", "ask")
FIRST = ("stop", "cancel")
INSTRUCTIONS = """A robot arm. Call list_skills first, then run_task with one of them or a checklist of
several, and wait with job_status while a job is paused or running. Where a sub-task is marked [?], look,
and call job_status with your verdict. The robot moves only while run_task,
job_status, move_to or gripper waits for it. stop holds it at once; then only an administrator's reset_stop
lets it move again. look shows a picture, get_state where the robot is."""
FARTHEST = 2.0  # metres, where a robot's workspace is not known


class Verifier:
    """Bearer tokens for the SDK."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers

    async def verify_token(self, token: str) -> AccessToken | None:
        caller = find_caller(self._callers, token)
        if caller is None:
            return None
        return AccessToken(token=token, client_id=caller.name, scopes=list(caller.scopes))


def make_server(
    tools: RobotTools,
    audit: AuditLog,
    updates: Updates,
    version: str,
    callers: Sequence[Caller] = (),
    url: str = "",
) -> MCPServer[Any]:
    """The server with its tools, resources and prompts.

    Args:
        updates: told that resources changed; tells whoever wants to know.
        callers: who may come over HTTP; empty for stdio.
        url: where it will listen, over HTTP.
    """
    auth: dict[str, Any] = {}
    if callers:
        settings = AuthSettings(issuer_url=AnyHttpUrl(url), resource_server_url=None)
        auth = {"auth": settings, "token_verifier": Verifier(callers)}
    server: MCPServer[Any] = MCPServer(
        NAME,
        title="Robot arm",
        instructions=INSTRUCTIONS,
        version=version,
        log_level="WARNING",
        middleware=[_Watched(tools, audit, updates)],
        subscriptions=updates.bus,
        **auth,
    )
    updates.serve(server)
    _add_tools(server, tools)
    _add_resources(server, tools, audit)
    _add_prompts(server, tools)
    return server


class _Watched:
    """Every call is written down; what is beyond its scopes is refused, also where no guard stands."""

    def __init__(self, tools: RobotTools, audit: AuditLog, updates: Updates) -> None:
        self._tools, self._audit, self._updates = tools, audit, updates

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        self._updates.here()
        request = ctx.request
        local = self._tools.local
        caller: Caller = request.scope.get(CALLER, local) if request is not None else local
        if ctx.method == CALL:
            return await self._call(ctx, call_next, caller)
        right = right_of(ctx.method, None)
        if right is not None and right not in caller.scopes:
            self._audit.refused(caller.name, ctx.method, "scope", "")
            raise MCPError(INVALID_REQUEST, f"{ctx.method} needs the scope {right}", {"reason": "scope"})
        return await call_next(ctx)

    async def _call(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]], caller: Caller) -> Any:
        params = ctx.params or {}
        name, arguments = str(params.get("name"))[:60], params.get("arguments") or {}
        began, outcome = time.monotonic(), "failed"
        try:
            right = right_of(CALL, name)
            if right is not None and right not in caller.scopes:
                outcome = "refused"
                told = {"reason": "scope", "message": f"{name} needs the scope {right}", "got": caller.name}
                text = TextContent(type="text", text=json.dumps(told))
                return CallToolResult(content=[text], is_error=True)
            result = await call_next(ctx)
            failed = isinstance(result, dict) and result.get("isError") is True
            outcome = "error" if failed else "ok"
            return _plain_error(result, name) if failed else result
        finally:
            self._audit.add(caller.name, name, outcome, time.monotonic() - began, arguments=arguments)
            self._updates.changed("robot://log", *(("robot://state",) if RIGHTS.get(name) != "read" else ()))


def _plain_error(result: dict[str, Any], name: str) -> dict[str, Any]:
    """An error as JSON alone, also where the SDK says it: what is wrong with which argument."""
    said = "".join(str(part.get("text", "")) for part in result.get("content", ()))
    said = said.removeprefix(f"Error executing tool {name}").removeprefix(": ")
    if said.startswith("{"):
        text = said
    elif "validation error" in said:
        lines = [line.partition(" [type=")[0].strip() for line in said.splitlines()[1:]]
        wrong = "; ".join(
            f"{field}: {why}"
            for field, why in itertools.pairwise(lines)
            if _is_field(field) and not _is_field(why)
        )
        text = json.dumps({"reason": "arguments", "message": f"{name} cannot be called so", "got": wrong})
    else:
        text = json.dumps({"reason": "unknown_tool" if "Unknown tool" in said else "error", "message": said})
    return {**result, "content": [{"type": "text", "text": text}]}


def _is_field(line: str) -> bool:
    return bool(line) and " " not in line


def _add_tools(server: MCPServer[Any], tools: RobotTools) -> None:
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    moves = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)
    safe = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    told: list[tuple[Callable[..., Any], ToolAnnotations]] = [
        (tools.list_skills, reads),
        (tools.run_task, moves),
        (tools.job_status, moves),
        (tools.cancel, safe),
        (tools.stop, safe),
        (tools.reset_stop, moves),
        (tools.get_state, reads),
        (tools.look, reads),
        (tools.describe_scene, reads),
        (tools.ask, reads),
    ]
    if tools.link.spec.action.gripper_closes is not None:
        told.append((tools.gripper, moves))
    reaching = move_to_of(tools)
    if reaching is not None:
        told.append((reaching, moves))
    for tool, hints in told:
        server.add_tool(tool, annotations=hints)


def move_to_of(tools: RobotTools) -> Callable[..., Awaitable[JobInfo]] | None:
    """The tool `move_to` of a robot: its hand to a place, or its joints to angles, each within its limits."""
    bounds = _bounds(tools.link.spec)
    if not bounds:
        return None

    async def move_to(ctx: Context, wait_seconds: float = 30.0, **target: float) -> JobInfo:
        return await tools.reach(ctx, target, wait_seconds)

    units = {j.name: j.unit for j in tools.link.spec.joints}
    kinds = {
        name: within(low, high, f"{name}, {units.get(name, 'metres, world')}.")
        for name, (low, high) in bounds.items()
    }
    move_to.__doc__ = "Move to a place within the robot's limits, slowly enough; waits until it is there."
    return _with_arguments(move_to, kinds)


def _with_arguments(tool: Callable[..., Any], kinds: Mapping[str, Any]) -> Callable[..., Any]:
    """A tool whose keyword arguments are named and typed."""
    import inspect

    parameter = inspect.Parameter
    named = [parameter(n, parameter.KEYWORD_ONLY, annotation=kind) for n, kind in kinds.items()]
    wait = parameter("wait_seconds", parameter.KEYWORD_ONLY, default=30.0, annotation=Seconds)
    first = parameter("ctx", parameter.POSITIONAL_OR_KEYWORD, annotation=Context)
    tool.__signature__ = inspect.Signature([first, *named, wait], return_annotation=JobInfo)  # type: ignore[attr-defined]
    tool.__annotations__ = {"ctx": Context, **kinds, "wait_seconds": Seconds, "return": JobInfo}
    return tool


def _bounds(spec: RobotSpec) -> dict[str, tuple[float, float]]:
    """What can be moved to a place, and how far."""
    state = {d.name for d in spec.state}
    hand = {d.name for d in spec.action.dims if d.quantity == "position"}
    if {"dx", "dy", "dz"} <= hand and {"hand_x", "hand_y", "hand_z"} <= state:
        known = spec.workspace or ((-FARTHEST, FARTHEST),) * 3
        return dict(zip("xyz", known, strict=True))
    moved = {d.name for d in spec.action.dims}
    named = {j.name: (j.low, j.high) for j in spec.joints if j.name in moved & state}
    # Arguments of a tool are Python's names: a robot whose joints are called otherwise has no `move_to`.
    return named if all(n.isidentifier() and n not in ("ctx", "wait_seconds") for n in named) else {}


def _add_resources(server: MCPServer[Any], tools: RobotTools, audit: AuditLog) -> None:
    @server.resource("robot://spec", mime_type="application/json")
    async def spec() -> str:
        """The robot: its joints, its state, what its actions mean."""
        from vla_data.config import to_dict

        return json.dumps(to_dict(tools.link.spec), indent=1)

    @server.resource("robot://state", mime_type="application/json")
    async def state() -> str:
        """Where the robot is now."""
        import anyio.to_thread

        told = await anyio.to_thread.run_sync(tools.link.ask, "state")
        return _json(tools.state_of(told))

    @server.resource("robot://jobs", mime_type="application/json")
    async def jobs() -> str:
        """What it was told to do, the latest last."""
        return json.dumps([json.loads(_json(info_of(j))) for j in tools.jobs.all()], indent=1)

    @server.resource("robot://jobs/{job_id}", mime_type="application/json")
    async def job(job_id: str) -> str:
        """One job."""
        found = next((j for j in tools.jobs.all() if j.id == job_id), None)
        if found is None:
            raise ResourceNotFoundError(f"there is no job {job_id[:40]}")
        return _json(info_of(found))

    @server.resource("robot://log", mime_type="application/json")
    async def log() -> str:
        """Who asked for what lately."""
        return json.dumps(audit.latest(), indent=1)

    @server.resource("robot://episodes", mime_type="application/json")
    async def episodes() -> str:
        """How many episodes were kept, and how punctual the control loop was."""
        import anyio.to_thread

        return json.dumps(await anyio.to_thread.run_sync(tools.link.ask, "cadence"), indent=1)


def _json(value: Any) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(value), indent=1)


def _add_prompts(server: MCPServer[Any], tools: RobotTools) -> None:
    @server.prompt()
    def decompose_task(task: str) -> str:
        """Break a task down into the robot's skills."""
        skills = "\n".join(f"- {words[0]}" for words in tools.link.skills.values())
        return (
            f"Break this task down for a robot arm: {task[:500]}\n\nIt can do these things, and nothing else:"
            f"\n{skills}\n\nAnswer with a markdown checklist, one of these a line (- [ ] …), in the order in "
            "which they have to be done; say so where it needs something that the robot cannot do. Then call "
            "run_task with the checklist, wait with job_status, and look before you say that it is done."
        )
