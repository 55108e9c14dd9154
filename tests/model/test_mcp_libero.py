"""LIBERO behind the MCP service: a checklist of one scene goes on where the sub-task before it ended."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

pytest.importorskip("mcp")
pytest.importorskip("libero")

from mcp.client import Client

from vla_data.robots.station import StationConfig
from vla_model.serving.mcp_server import make_server
from vla_model.serving.mcp_service import McpConfig, open_service


@pytest.mark.slow
def test_two_goals_of_one_scene_are_reached_one_after_the_other(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLA_LIBERO_ASSETS", str(shared / "libero-assets"))
    tasks = ("libero_goal/turn_on_the_stove", "libero_goal/put_the_bowl_on_the_stove")

    async def main() -> dict:
        server = make_server(service.tools, service.audit, service.updates, "1")
        async with Client(server) as client:
            words = ["turn on the stove", "put the bowl on the stove"]
            told = {"checklist": words, "wait_seconds": 60, "new_scene": False}
            job = (await client.call_tool("run_task", told)).structured_content
            assert isinstance(job, dict)
            return job

    with open_service(McpConfig(StationConfig("sim-libero", tasks=tasks))) as service:
        job = anyio.run(main)
        assert job["state"] == "succeeded", job
        assert job["checklist"].count("- [x]") == 2
        assert service.link.ask("state")["scene"] == tasks[1]
