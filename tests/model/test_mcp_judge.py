"""An outer agent that judges what the robot did, through the SDK's own client in both eras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")

from mcp.client import Client
from tests.model.quiet_robot import QuietLink, quiet_service

from vla_model.serving.jobs import Jobs
from vla_model.serving.mcp_server import make_server
from vla_model.serving.mcp_service import McpService

ERAS = ("auto", "legacy")
BOTH = ["shut it", "light the lamp"]


def judging(link: QuietLink, **parts: Any) -> McpService:
    return quiet_service(link, make_jobs=lambda link: Jobs(link, judge="agent"), **parts)


def client_of(service: McpService, mode: str) -> Client:
    server = make_server(service.tools, service.audit, service.updates, "1")
    return Client(server, mode=mode)  # type: ignore[arg-type]


def error_of(result: Any) -> dict[str, str]:
    assert result.is_error, result
    return json.loads(result.content[0].text)


@pytest.mark.parametrize("mode", ERAS)
def test_an_agent_looks_and_judges_sub_task_by_sub_task(mode: str):
    service, told = judging(QuietLink("ended")), list[str]()

    async def on(progress: float, total: float | None, message: str | None) -> None:
        told.append(f"{progress:g}/{total:g} {message}")

    async def main() -> None:
        async with client_of(service, mode) as client:
            note = (await client.call_tool("list_skills", {})).structured_content["note"]  # type: ignore[index]
            assert "tell job_status" in note
            result = await client.call_tool("run_task", {"checklist": BOTH}, progress_callback=on)
            job = result.structured_content
            verdicts = iter(["again", "success", "success"])
            while job["state"] == "paused":  # type: ignore[index]
                assert "verdict=" in job["next"]  # type: ignore[index]
                assert job["checklist"].count("- [?]") == 1  # type: ignore[index]
                assert (await client.call_tool("look", {})).content[0].type == "image"
                waits = {"job_id": job["id"], "verdict": next(verdicts)}  # type: ignore[index]
                job = (await client.call_tool("job_status", waits)).structured_content
            assert job["state"] == "succeeded"  # type: ignore[index]
            assert job["checklist"] == "- [x] shut it\n- [x] light the lamp"  # type: ignore[index]

    anyio.run(main)
    link = service.link
    assert isinstance(link, QuietLink)
    assert [told["skill"] for _, told in link.did("task")] == ["lid", "lid", "lamp"]
    assert [told["success"] for _, told in link.did("judge")] == [False, True, True]
    assert link.did("release")  # the robot holds while somebody looks
    assert any("shut it: its motion has ended: look" in line for line in told), told


@pytest.mark.parametrize("mode", ERAS)
def test_a_verdict_that_nothing_waits_for_is_told_so_that_an_agent_can_act(mode: str):
    async def main() -> None:
        async with client_of(judging(QuietLink("failed")), mode) as client:
            job = (await client.call_tool("run_task", {"instruction": "lid"})).structured_content
            assert job["state"] == "failed"  # type: ignore[index]
            asked = {"job_id": job["id"], "verdict": "success"}  # type: ignore[index]
            error = error_of(await client.call_tool("job_status", asked))
            assert (error["reason"], error["next"]) == ("nothing_to_judge", "leave the verdict out")
            wrong = error_of(await client.call_tool("job_status", {**asked, "verdict": "maybe"}))
            assert wrong["reason"] == "arguments"
            assert (await client.call_tool("job_status", {"job_id": job["id"]})).is_error is False  # type: ignore[index]

    anyio.run(main)


def test_who_may_not_move_does_not_judge():
    service = judging(QuietLink("ended"), local=("read",))

    async def main() -> None:
        async with client_of(service, "auto") as client:
            asked = {"job_id": job.id, "verdict": "success"}
            assert error_of(await client.call_tool("job_status", asked))["reason"] == "not_allowed"
            seen = (await client.call_tool("job_status", {"job_id": job.id})).structured_content
            assert seen["checklist"] == "- [?] shut it"  # type: ignore[index]

    from vla_model.serving.job import Item, new_job

    job = new_job("agent", "shut it", items=[Item("lid", "shut it", "ended")])
    service.jobs.add(job)
    anyio.run(main)
    assert job.unjudged is not None


def test_the_agent_is_asked_at_once_and_not_after_its_waiting():
    service = judging(QuietLink("ended"))

    async def main() -> None:
        async with client_of(service, "auto") as client:
            with anyio.fail_after(20):
                for _ in range(3):
                    call = {"instruction": "lid", "wait_seconds": 60}
                    job = (await client.call_tool("run_task", call)).structured_content
                    more = {"job_id": job["id"], "wait_seconds": 60}  # type: ignore[index]
                    job = (await client.call_tool("job_status", more)).structured_content
                    assert job["state"] == "paused"  # type: ignore[index]
                    await client.call_tool("cancel", {"job_id": job["id"]})  # type: ignore[index]

    anyio.run(main)


def test_a_simulator_is_silent_where_an_agent_judges_and_episodes_are_kept_by_its_verdicts(tmp_path: Path):
    pytest.importorskip("metaworld")
    from vla_data.formats import open_episodes
    from vla_data.robots.station import StationConfig
    from vla_model.serving.mcp_service import McpConfig, open_service

    async def main() -> None:
        async with client_of(service, "auto") as client:
            job = (await client.call_tool("run_task", {"instruction": "reach"})).structured_content
            for verdict in ("again", "success"):
                assert (job["state"], job["steps"] % 15) == ("paused", 0), job  # type: ignore[index]
                told = {"job_id": job["id"], "verdict": verdict}  # type: ignore[index]
                job = (await client.call_tool("job_status", told)).structured_content
            assert (job["state"], job["steps"]) == ("succeeded", 30)  # type: ignore[index]

    station = StationConfig(tasks=("reach",), judge="agent", out=tmp_path, steps=15)
    with open_service(McpConfig(station)) as service:
        anyio.run(main)
    source = open_episodes(str(tmp_path / "episodes" / "sim_metaworld" / "1.0.0"))
    assert [source[i].metadata["success"] for i in range(len(source))] == [False, True]
