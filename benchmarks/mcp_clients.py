"""Clients that others wrote drive a simulated robot over MCP, in both eras of the protocol.

- the SDK's own client: an outer agent that does a task of three steps through MCP alone
- the MCP inspector's command line: tools listed and their schemas checked (`--strict`), a call, an error, a
  token that is not known; its exit codes say what happened (0, 5, 3)
- the conformance tool: those of its server scenarios that ask for no tools of the tool's own

The two are Node programs: `scripts/setup-mcp-clients` installs them into build/mcp-clients. Without them the
checks say that they did not run. Each line counts what passed; the goal is all.

    .venv/bin/python benchmarks/mcp_clients.py [--smoke] [--json]
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import uvicorn
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from _frame import Check, run
from _served import TOKENS, Served, served
from _with_token import WithToken
from vla_data.robots.station import StationConfig
from vla_data.types import CameraInput
from vla_model.serving.mcp_service import listening

BIN = Path(__file__).resolve().parents[1] / "build" / "mcp-clients" / "node_modules" / ".bin"
STATION = StationConfig(
    tasks=("drawer-open", "window-open", "reach"), cameras=(CameraInput("corner4", 128, 128),)
)
SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)
ERAS = {"newer era": ("auto", "modern"), "older era": ("legacy", "legacy")}
TIMES = 5


def main(smoke: bool) -> list[Check]:
    """All of them against one robot."""
    checks = []
    with served(STATION) as robot:
        for era, (mode, name) in ERAS.items():
            done, steps = _agent(robot, mode, 1 if smoke else TIMES)
            times = 1 if smoke else TIMES
            checks.append(
                Check(
                    f"{era}: SDK's client, three-step task",
                    done,
                    f"of {times}",
                    "all",
                    f"{steps} steps",
                    done == times,
                )
            )
            checks.append(_inspected(robot, era, name))
        checks += _conformance(robot)
    return checks


def _agent(robot: Served, mode: str, times: int) -> tuple[int, int]:
    """Tasks done, and the motions they took."""

    async def one() -> tuple[bool, int]:
        asking = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKENS['agent']}"}, timeout=90)
        transport = streamable_http_client(robot.url, http_client=asking)
        async with Client(transport, mode=mode) as client:  # type: ignore[arg-type]
            skills = (await client.call_tool("list_skills", {})).structured_content or {}
            words = [skill["wordings"][0] for skill in skills["skills"]]
            job = await client.call_tool("run_task", {"checklist": words, "new_scene": True})
            told = job.structured_content or {}
            while told["state"] in ("running", "paused"):
                told = (await client.call_tool("job_status", {"job_id": told["id"]})).structured_content or {}
            await client.call_tool("move_to", {"x": 0.0, "y": 0.6, "z": 0.25})
            return told["state"] == "succeeded", int(told["steps"])

    ends = [anyio.run(one) for _ in range(times)]
    return sum(done for done, _ in ends), sum(steps for _, steps in ends)


def _inspected(robot: Served, era: str, name: str) -> Check:
    """Exit codes of the inspector, and what it printed."""
    title = f"{era}: MCP inspector"
    if not (BIN / "mcp-inspector").exists():
        return _absent(title)
    call = ("--method", "tools/call", "--tool-name", "run_task", "--tool-args-json")
    wanted = (
        (0, TOKENS["agent"], ("--method", "tools/list", "--strict")),
        (0, TOKENS["agent"], (*call, json.dumps({"instruction": "reach", "new_scene": True}))),
        (5, TOKENS["agent"], (*call, json.dumps({"instruction": "make coffee"}))),
        (5, TOKENS["agent"], (*call, json.dumps({"instruction": 7}))),
        (0, TOKENS["reader"], ("--method", "resources/read", "--uri", "robot://state")),
        (0, TOKENS["reader"], ("--method", "prompts/list")),
        (3, "nobody-knows-this-one", ("--method", "tools/list")),
    )
    codes = [_inspect(robot, name, token, words) for _, token, words in wanted]
    passed = sum(code == want for code, (want, _, _) in zip(codes, wanted, strict=True))
    return Check(
        title,
        passed,
        f"of {len(wanted)}",
        "all",
        f"exit codes {' '.join(map(str, codes))}",
        passed == len(wanted),
    )


def _inspect(robot: Served, era: str, token: str, words: tuple[str, ...]) -> int:
    command = [
        str(BIN / "mcp-inspector"), "--cli", robot.url, "--transport", "http", "--protocol-era", era,
        "--header", f"Authorization: Bearer {token}", "--format", "json", *words,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode


def _conformance(robot: Served) -> list[Check]:
    """Scenarios of the conformance tool, which cannot show a token: one is shown for it."""
    title = "conformance tool"
    if not (BIN / "conformance").exists():
        return [_absent(title)]
    with _open_door(robot) as url:
        failed = [s for s in SCENARIOS if not _conforms(url, s)]
    passed = len(SCENARIOS) - len(failed)
    told = ", ".join(failed) or ", ".join(SCENARIOS)
    return [Check(title, passed, f"of {len(SCENARIOS)} scenarios", "all", told, not failed)]


def _conforms(url: str, scenario: str) -> bool:
    command = [str(BIN / "conformance"), "server", "--url", url, "--scenario", scenario]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.returncode == 0


@contextmanager
def _open_door(robot: Served) -> Iterator[str]:
    with listening("127.0.0.1", 0) as door:
        port = int(door.getsockname()[1])
        app = WithToken(robot.app, TOKENS["agent"], port, robot.port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/mcp"
        server.should_exit = True
        thread.join(10)


def _absent(title: str) -> Check:
    return Check(title, 0, "", "all", "not run: scripts/setup-mcp-clients", False)


if __name__ == "__main__":
    run(main, "mcp_clients")
