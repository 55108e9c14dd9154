"""A simulated robot over MCP: the SDK's own client in both eras of the protocol, over HTTP and stdio."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")
pytest.importorskip("metaworld")

import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.model.quiet_robot import listens

from vla_data.robots.station import StationConfig
from vla_data.types import CameraInput
from vla_model.serving.guard import MOST_BODY
from vla_model.serving.mcp_service import McpConfig, McpService, open_service
from vla_model.serving.rights import ANYBODY
from vla_model.serving.rights import TOOLS as RIGHTS
from vla_model.serving.tokens import SCOPES, caller_of

TOKENS = {"reader": "reader-token-0123456", "agent": "agent-token-01234567", "admin": "admin-token-01234567"}
CALLERS = (
    caller_of("reader", TOKENS["reader"], ("read",)),
    caller_of("agent", TOKENS["agent"], ("read", "move")),
    caller_of("admin", TOKENS["admin"], SCOPES),
)
ERAS = ("auto", "legacy")
STATION = StationConfig(
    tasks=("drawer-open", "window-open", "reach"),
    cameras=(CameraInput("corner4", 48, 48), CameraInput("gripperPOV", 32, 32)),
)


@dataclass
class Running:
    service: McpService
    port: int

    def client(self, name: str = "admin", mode: str = "auto") -> Client:
        headers = {"Authorization": f"Bearer {TOKENS[name]}"}
        asking = httpx2.AsyncClient(headers=headers, timeout=60)
        transport = streamable_http_client(f"http://127.0.0.1:{self.port}/mcp", http_client=asking)
        return Client(transport, mode=mode)

    def run(self, do: Callable[[Client], Awaitable[Any]], name: str = "admin", mode: str = "auto") -> Any:
        async def main() -> Any:
            async with self.client(name, mode) as client:
                return await do(client)

        return anyio.run(main)

    def http(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, **more: str
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        told = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        connection.request(method, path, body or None, {**told, **(headers or {}), **more})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    audit = tmp_path_factory.mktemp("mcp") / "audit.jsonl"
    with (
        open_service(McpConfig(STATION, audit=audit)) as service,
        listens(service, CALLERS) as there,
    ):
        yield Running(service, there.port)


@pytest.fixture(autouse=True)
def _no_stop_is_left(running: Running) -> Iterator[None]:
    yield
    running.service.link.ask("reset_stop")
    current = running.service.jobs.current
    if current is not None:
        running.service.jobs.cancel(current, "the test is over")


def error_of(result: Any) -> dict[str, str]:
    assert result.is_error, result
    return json.loads(result.content[0].text)


@pytest.mark.parametrize("mode", ERAS)
def test_an_agent_does_three_things_through_mcp_alone(running: Running, mode: str):
    told: list[str] = []

    async def agent(client: Client) -> dict[str, Any]:
        skills = (await client.call_tool("list_skills", {})).structured_content
        wordings = {s["name"]: s["wordings"] for s in skills["skills"]}  # type: ignore[index]
        checklist = [wordings["drawer-open"][1], wordings["window-open"][0], "reach"]

        async def on(progress: float, total: float | None, message: str | None) -> None:
            told.append(f"{progress:g}/{total:g} {message}")

        result = await client.call_tool("run_task", {"checklist": checklist}, progress_callback=on)
        job = result.structured_content
        while job["state"] in ("running", "paused"):  # type: ignore[index]
            result = await client.call_tool("job_status", {"job_id": job["id"]})  # type: ignore[index]
            job = result.structured_content
        return job  # type: ignore[return-value]

    job = running.run(agent, mode=mode)
    assert job["state"] == "succeeded", job
    assert job["checklist"].count("- [x]") == 3
    assert job["steps"] > 50
    assert any(line.startswith("1/3 running") for line in told), told


@pytest.mark.parametrize("mode", ERAS)
def test_an_arm_is_moved_and_looked_at(running: Running, mode: str):
    async def agent(client: Client) -> None:
        moved = await client.call_tool("move_to", {"x": 0.05, "y": 0.6, "z": 0.2})
        assert moved.structured_content["state"] == "succeeded", moved  # type: ignore[index]
        state = (await client.call_tool("get_state", {})).structured_content
        assert abs(state["values"]["hand_x"] - 0.05) < 0.02
        assert state["phase"] == "idle"
        assert (await client.call_tool("gripper", {"action": "close"})).structured_content[
            "state"
        ] == "succeeded"  # type: ignore[index]
        seen = await client.call_tool("look", {"camera": "gripperPOV"})
        assert seen.content[0].type == "image"

    running.run(agent, mode=mode)


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("run_task", {"instruction": "make coffee"}, "unknown_skill"),
        ("run_task", {}, "unknown_skill"),
        ("run_task", {"instruction": "reach", "checklist": ["reach"]}, "unknown_skill"),
        ("run_task", {"instruction": "reach", "wait_seconds": -1}, "arguments"),
        ("run_task", {"checklist": ["reach"] * 30}, "arguments"),
        ("move_to", {"x": 0.0, "y": 0.6}, "arguments"),
        ("move_to", {"x": "NaN", "y": 0.6, "z": 0.2}, "arguments"),
        ("move_to", {"x": 1e9, "y": 0.6, "z": 0.2}, "arguments"),
        ("move_to", {"x": [0.1], "y": {}, "z": None}, "arguments"),
        ("gripper", {"action": "crush"}, "arguments"),
        ("job_status", {"job_id": "none"}, "vla"),
        ("look", {"camera": "moon"}, "vla"),
        ("describe_scene", {}, "vla"),
        ("ask", {"question": "how do I clear the table?"}, "vla"),
        ("ask", {"question": ""}, "arguments"),
        ("fly", {}, "unknown_tool"),
    ],
)
def test_what_is_wrong_is_said_so_that_an_agent_can_act(
    running: Running, tool: str, arguments: dict[str, Any], reason: str
):
    sent = running.service.link.ask("state")["kernel"]["sent"]
    told = error_of(running.run(lambda client: client.call_tool(tool, arguments)))
    assert told["reason"] == reason, told
    assert told["message"]
    assert running.service.link.ask("state")["kernel"]["sent"] == sent


def test_a_stop_counts_for_everybody_until_an_administrator_takes_it_back(running: Running):
    async def reader(client: Client) -> None:
        long = (await client.call_tool("stop", {"reason": "x" * 5000})).structured_content
        assert long["phase"] == "stopped"  # type: ignore[index]
        stopped = (await client.call_tool("stop", {"reason": "a hand"})).structured_content
        assert stopped == {"phase": "stopped", "stopped_for": "a hand (reader)"}

    async def agent(client: Client) -> dict[str, Any]:
        return (await client.call_tool("run_task", {"instruction": "reach"})).structured_content

    async def admin(client: Client) -> None:
        assert (await client.call_tool("reset_stop", {})).structured_content["phase"] == "idle"  # type: ignore[index]

    running.run(reader, "reader")
    told = running.run(agent, "agent")
    assert (told["state"], told["said"], told["steps"]) == ("stopped", "a hand (reader)", 0)
    running.run(admin)
    assert running.run(agent, "agent")["state"] == "succeeded"


def test_one_job_at_a_time_and_it_can_be_cancelled(running: Running):
    async def agent(client: Client) -> None:
        job = (
            await client.call_tool("run_task", {"instruction": "reach", "wait_seconds": 0.05})
        ).structured_content
        assert job["state"] == "paused", job  # type: ignore[index]
        assert error_of(await client.call_tool("run_task", {"instruction": "reach"}))["reason"] == "busy"
        job = (await client.call_tool("cancel", {"job_id": job["id"]})).structured_content  # type: ignore[index]
        assert job["state"] == "cancelled"  # type: ignore[index]
        alone = await client.call_tool("run_task", {"instruction": "reach", "unattended": True})
        assert error_of(alone)["reason"] == "not_allowed"

    running.run(agent, "agent")


def test_an_administrator_may_send_a_job_off(running: Running):
    async def admin(client: Client) -> str:
        told = await client.call_tool(
            "run_task", {"instruction": "drawer-open", "unattended": True, "wait_seconds": 0}
        )
        return told.structured_content["id"]  # type: ignore[index]

    job = running.service.jobs.find(running.run(admin))
    end = time.monotonic() + 20
    while not job.over and time.monotonic() < end:
        time.sleep(0.05)
    assert job.state == "succeeded"


@pytest.mark.parametrize("mode", ERAS)
def test_resources_and_prompts(running: Running, mode: str):
    async def agent(client: Client) -> None:
        listed = {str(r.uri) for r in (await client.list_resources()).resources}
        assert {"robot://state", "robot://spec", "robot://jobs", "robot://log", "robot://episodes"} <= listed
        state = json.loads((await client.read_resource("robot://state")).contents[0].text)  # type: ignore[union-attr]
        assert set(state["values"]) == {"hand_x", "hand_y", "hand_z", "gripper_opening"}
        prompt = await client.get_prompt("decompose_task", {"task": "clear the table"})
        text = prompt.messages[0].content.text  # type: ignore[union-attr]
        assert "clear the table" in text
        assert "- open the drawer" in text
        with pytest.raises(Exception, match="no job"):
            await client.read_resource("robot://jobs/none")

    running.run(agent, mode=mode)


def test_a_change_is_told_to_who_listens_in_the_newer_era(running: Running):
    async def agent(client: Client) -> set[str]:
        told: set[str] = set()
        wanted = ["robot://jobs", "robot://state"]
        async with (
            client.listen(resource_subscriptions=wanted) as changes,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.call_tool, "gripper", {"action": "open"})
            with anyio.move_on_after(20):
                async for change in changes:
                    told.add(getattr(change, "uri", ""))
                    if len(told) == 2:
                        break
        return told

    assert running.run(agent) == {"robot://jobs", "robot://state"}


def test_a_change_is_told_to_who_subscribed_in_the_older_era(running: Running):
    told: list[str] = []

    async def heard(message: Any) -> None:
        if type(message).__name__ == "ResourceUpdatedNotification":
            told.append(str(message.params.uri))

    async def main() -> None:
        headers = {"Authorization": f"Bearer {TOKENS['agent']}"}
        asking = httpx2.AsyncClient(headers=headers, timeout=60)
        transport = streamable_http_client(f"http://127.0.0.1:{running.port}/mcp", http_client=asking)
        async with Client(transport, mode="legacy", message_handler=heard) as client:
            await client.session.subscribe_resource("robot://jobs")
            await client.call_tool("gripper", {"action": "close"})
            with anyio.move_on_after(10):
                while not told:
                    await anyio.sleep(0.05)
            await client.session.unsubscribe_resource("robot://jobs")
            await anyio.sleep(0.3)
            heard_so_far = len(told)
            await client.call_tool("gripper", {"action": "open"})
            await anyio.sleep(0.3)
            assert len(told) == heard_so_far > 0

    anyio.run(main)


KILLED = """
import anyio, httpx2, sys
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
async def main():
    asking = httpx2.AsyncClient(headers={"Authorization": "Bearer " + sys.argv[2]}, timeout=60)
    transport = streamable_http_client(sys.argv[1], http_client=asking)
    async with Client(transport, mode=sys.argv[3]) as client:
        await client.call_tool("run_task", {"instruction": "drawer-open", "new_scene": True})
anyio.run(main)
"""


@pytest.mark.parametrize("mode", ERAS)
def test_an_agent_that_is_killed_leaves_a_robot_that_holds(running: Running, mode: str):
    link = running.service.link
    url = f"http://127.0.0.1:{running.port}/mcp"
    client = subprocess.Popen([sys.executable, "-c", KILLED, url, TOKENS["agent"], mode])
    try:
        end = time.monotonic() + 20
        while link.ask("motion")["kernel"]["phase"] != "moving":
            assert time.monotonic() < end
            time.sleep(0.01)
        os.kill(client.pid, signal.SIGKILL)
        killed, last = time.monotonic(), 0.0
        sent = link.ask("motion")["kernel"]["sent"]
        while time.monotonic() - killed < 1.0:
            now = link.ask("motion")["kernel"]["sent"]
            if now != sent:
                sent, last = now, time.monotonic() - killed
            time.sleep(0.005)
    finally:
        client.kill()
        client.wait()
    assert last <= 0.5 + 1 / 80 + 0.02
    job = running.service.jobs.current
    assert job is not None
    assert job.state == "paused"


# ------------------------------------------------------------------ HTTP


def test_who_may_not_come_in(running: Running):
    known = {"Authorization": f"Bearer {TOKENS['reader']}"}
    call = json.dumps({"method": "tools/call", "params": {"name": "run_task"}}).encode()
    assert running.http("POST", "/mcp", b"{}")[0] == 401
    assert running.http("POST", "/mcp", b"{}", Authorization="Bearer nothing-at-all-here")[0] == 401
    assert running.http("POST", "/mcp", call, headers=known)[0] == 403
    assert running.http("POST", "/mcp", b"{}", headers=known, Host="evil.example")[0] == 421
    assert running.http("POST", "/mcp", b" " * (MOST_BODY + 1), headers=known)[0] == 413
    assert running.http("POST", "/mcp", b"{}", headers=known, Origin="http://evil.example")[0] == 403
    assert running.http("GET", "/healthz")[0] == 200


def test_the_status_page_shows_and_stops(running: Running):
    status, page = running.http("GET", "/")
    assert status == 200
    assert b"STOP" in page
    assert b"metaworld" not in page
    known = {"Authorization": f"Bearer {TOKENS['agent']}"}
    told = json.loads(running.http("GET", "/status", headers=known)[1])
    assert told["robot"] == "metaworld-sawyer"
    assert told["you"]["scopes"] == ["read", "move"]
    assert running.http("GET", "/camera.png?name=corner4", headers=known)[1].startswith(b"\x89PNG")
    assert running.http("GET", "/camera.png?name=moon", headers=known)[0] == 404
    assert running.http("POST", "/stop", headers=known)[0] == 200
    assert json.loads(running.http("GET", "/status", headers=known)[1])["phase"] == "stopped"
    assert running.http("POST", "/reset_stop", headers=known)[0] == 403
    admin = {"Authorization": f"Bearer {TOKENS['admin']}"}
    assert running.http("POST", "/reset_stop", headers=admin)[0] == 200
    assert json.loads(running.http("GET", "/status", headers=known)[1])["phase"] == "idle"


def test_the_status_page_in_a_browser(running: Running, tmp_path: Path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=8000", "--dump-dom", f"http://127.0.0.1:{running.port}/#token={TOKENS['admin']}",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    text = re.sub(r"<script.*?</script>", "", shown, flags=re.DOTALL)
    assert "metaworld-sawyer" in text
    assert "hand_x" in text
    assert re.search(r'<img[^>]*src="blob:', text)
    assert 'id="login" hidden' in text
    assert TOKENS["admin"] not in text


def test_every_call_is_written_down(running: Running):
    running.run(lambda client: client.call_tool("get_state", {}), "reader")
    running.run(lambda client: client.call_tool("run_task", {"instruction": "fly"}), "agent")
    lines = [json.loads(line) for line in running.service.config.audit.read_text().splitlines()]  # type: ignore[union-attr]
    told = [(line["caller"], line["what"], line["outcome"]) for line in lines[-2:]]
    assert told == [("reader", "get_state", "ok"), ("agent", "run_task", "error")]
    assert lines[-1]["arguments"] == {"instruction": "fly"}
    assert lines[-1]["ms"] >= 0
    assert not any(token in running.service.config.audit.read_text() for token in TOKENS.values())  # type: ignore[union-attr]


def test_every_tool_has_a_right_and_says_what_it_does(running: Running):
    async def tools(client: Client) -> list[Any]:
        return list((await client.list_tools()).tools)

    listed = running.run(tools)
    assert {t.name for t in listed} == {*RIGHTS, ANYBODY}
    for tool in listed:
        assert tool.description
        assert tool.annotations is not None
        changes = RIGHTS.get(tool.name) != "read" or tool.name == "job_status"
        assert tool.annotations.read_only_hint != changes
    move = next(t for t in listed if t.name == "move_to").input_schema["properties"]
    assert (move["z"]["minimum"], move["z"]["maximum"]) == (-0.15, 0.5)


# ------------------------------------------------------------------ stdio


@pytest.mark.parametrize("mode", ERAS)
def test_over_stdio_with_the_command_itself(mode: str, tmp_path: Path):
    command = [
        "-c", "from vla_cli.main import main; main()", "serve", "mcp", "--demo", "--stdio",
        "--tasks", "reach", "--scopes", "read,move", "--out", str(tmp_path),
    ]  # fmt: skip
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))

    async def main() -> None:
        async with Client(server, mode=mode) as client:
            job = (await client.call_tool("run_task", {"instruction": "reach"})).structured_content
            assert job["state"] == "succeeded", job  # type: ignore[index]
            assert error_of(await client.call_tool("reset_stop", {}))["reason"] == "scope"

    anyio.run(main)
    end = time.monotonic() + 20
    dataset = tmp_path / "episodes" / "sim_metaworld" / "1.0.0"
    while not dataset.is_dir():
        assert time.monotonic() < end, "the episode was not kept"
        time.sleep(0.05)
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["ok", "refused"]
