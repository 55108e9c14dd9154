"""A token that may move and not read, through the SDK's own client in both eras, over HTTP and without it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from tests.model.quiet_robot import Listening, QuietLink, listens, quiet_service

from vla_model.serving.mcp_server import make_server
from vla_model.serving.tokens import caller_of

ERAS = ("auto", "legacy")
TOKEN = "blind-token-01234567"
READS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "a resource": lambda client: client.read_resource("robot://state"),
    "the log": lambda client: client.read_resource("robot://log"),
    "a job": lambda client: client.read_resource("robot://jobs/none"),
    "resources": lambda client: client.list_resources(),
    "a prompt": lambda client: client.get_prompt("decompose_task", {"task": "clear the table"}),
    "prompts": lambda client: client.list_prompts(),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Listening]:
    callers = [caller_of("blind", TOKEN, ("move",))]
    with listens(quiet_service(QuietLink("succeeded")), callers) as at:
        yield at


def over_http(at: Listening, mode: str) -> Client:
    asking = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    return Client(
        streamable_http_client(f"http://127.0.0.1:{at.port}/mcp", http_client=asking),
        mode=mode,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("what", READS)
def test_it_reads_nothing_over_http(running: Listening, mode: str, what: str):
    async def main() -> None:
        async with over_http(running, mode) as client:
            with pytest.raises(MCPError, match="an error response"):
                await READS[what](client)

    anyio.run(main)
    assert not running.service.link.asked  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ERAS)
def test_it_moves_over_http(running: Listening, mode: str):
    async def main() -> None:
        async with over_http(running, mode) as client:
            assert {t.name for t in (await client.list_tools()).tools} >= {"run_task", "get_state"}
            job = (await client.call_tool("run_task", {"instruction": "lid"})).structured_content
            assert job["state"] == "succeeded", job  # type: ignore[index]

    anyio.run(main)
    running.service.link.asked.clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("what", READS)
def test_it_reads_nothing_without_a_guard_either(mode: str, what: str):
    """As over standard input and output, where the scopes are those of `--scopes`."""
    service = quiet_service(QuietLink("succeeded"), local=("move",))
    server = make_server(service.tools, service.audit, service.updates, "1")

    async def main() -> None:
        async with Client(server, mode=mode) as client:  # type: ignore[arg-type]
            with pytest.raises(Exception, match="needs the scope read"):
                await READS[what](client)
            refused = await client.call_tool("get_state", {})
            assert json.loads(refused.content[0].text)["reason"] == "scope"  # type: ignore[union-attr]
            job = (await client.call_tool("run_task", {"instruction": "lid"})).structured_content
            assert job["state"] == "succeeded", job  # type: ignore[index]

    anyio.run(main)
    assert not service.link.did("state")  # type: ignore[attr-defined]
    told = [(line["caller"], line["outcome"]) for line in service.audit.latest()]
    assert told == [("local", "refused"), ("local", "refused"), ("local", "ok")]
