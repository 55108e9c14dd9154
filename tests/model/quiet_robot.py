"""A robot that is not there, over MCP: it remembers what it is asked, its motions end as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_data.robots.robot_link import RobotLink
from vla_data.types import ActionDim, ActionSpec, Camera, RobotSpec, StateDim
from vla_model.serving.addresses import Address
from vla_model.serving.audit import AuditLog
from vla_model.serving.jobs import Jobs
from vla_model.serving.mcp_service import McpConfig, McpService, listening
from vla_model.serving.robot_tools import RobotTools
from vla_model.serving.tokens import Caller, Scope
from vla_model.serving.updates import Updates

JOINT = ActionDim("joint", "joint", "absolute", "none", "rad")
SPEC = RobotSpec("quiet", ActionSpec((JOINT,), 10.0), (StateDim("joint", "rad"),))
SKILLS = {"lid": ["close the lid", "shut it"], "lamp": ["light the lamp"]}
KERNEL = {"phase": "idle", "stopped_for": None, "owner": None}


class QuietLink(RobotLink):
    """Motions take no time; each ends as the next of `outcomes`, the last of them for ever."""

    def __init__(self, *outcomes: str) -> None:
        self.outcomes, self.asked = [*outcomes], list[tuple[str, dict[str, Any]]]()
        self.spec, self.cameras, self.skills = SPEC, (Camera("front", 4, 4),), SKILLS
        self.judge = "agent"
        self.lease_seconds, self.number, self.ended = 0.5, 0, "none"

    def ask(self, do: str, **told: Any) -> dict[str, Any]:
        self.asked.append((do, told))
        if do == "task":
            self.number += 1
            self.ended = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        motion = {"number": self.number, "state": self.ended, "said": "all steps are done", "steps": 7}
        images = {"front": np.zeros((4, 4, 3), np.uint8)}
        cadence = {"ticks": 1, "late_share": 0.0, "p99": 0.0, "episodes": 0}
        state = {"time": 0.0, "state": np.zeros(1, np.float32), "scene": "", "images": images}
        return {**cadence, **state, "key": "key", "number": self.number, "motion": motion, "kernel": KERNEL}

    def did(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """What of some kinds it was asked, in order."""
        return [(do, told) for do, told in self.asked if do in names]


def quiet_service(
    link: QuietLink,
    address: Address | None = None,
    local: Sequence[Scope] = ("read", "move"),
    make_jobs: Callable[[QuietLink], Jobs] = Jobs,
) -> McpService:
    """The service of a quiet robot.

    Args:
        local: scopes of whoever comes over no network.
    """
    jobs = make_jobs(link)
    tools = RobotTools(link, jobs, Caller("local", tuple(local), "0" * 64))
    config = McpConfig(address=address or Address())
    return McpService(config, link, jobs, tools, AuditLog(None), Updates())


@dataclass
class Listening:
    """A service that listens."""

    service: McpService
    port: int


@contextmanager
def listens(service: McpService, callers: Sequence[Caller]) -> Iterator[Listening]:
    """Have a service listen at a free port, until left."""
    import uvicorn

    with listening(service.config.address.host, 0) as door:
        port = int(door.getsockname()[1])
        server = uvicorn.Server(uvicorn.Config(service.app(callers, port), log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Listening(service, port)
        server.should_exit = True
        thread.join(10)
