"""A robot over MCP for benchmarks: an arm with a policy that waves it, or a simulator with its expert.

Run as a program it serves over standard input and output, and writes down what reaches the motors:

    python benchmarks/_served.py --trace FILE
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from vla_data.robots.station import StationConfig
from vla_model.serving.mcp_service import McpConfig, McpService, listening, open_service
from vla_model.serving.tokens import SCOPES, caller_of

TOKENS = {"agent": "agent-token-01234567", "admin": "admin-token-01234567", "reader": "reader-token-0123456"}
CALLERS = (
    caller_of("agent", TOKENS["agent"], ("read", "move")),
    caller_of("admin", TOKENS["admin"], SCOPES),
    caller_of("reader", TOKENS["reader"], ("read",)),
)
ARM = StationConfig("arm")
FAR = {
    "joint1": 2.5,
    "joint2": 0.2,
    "joint3": 0.0,
    "joint4": -2.2,
    "joint5": 0.0,
    "joint6": 2.6,
    "joint7": 0.79,
}


@dataclass(frozen=True)
class Served:
    """A service that listens."""

    service: McpService
    port: int
    app: ASGIApp

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


@contextmanager
def served(station: StationConfig, run: Path | None = None) -> Iterator[Served]:
    """Over HTTP, until left."""
    import uvicorn

    with open_service(McpConfig(station, run)) as service, listening("127.0.0.1", 0) as door:
        port = int(door.getsockname()[1])
        app = service.app(CALLERS, port)
        options = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(options)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Served(service, port, app)
        finally:
            server.should_exit = True
            thread.join(10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace", type=Path)
    with open_service(McpConfig(StationConfig("arm", trace=parser.parse_args().trace))) as served_here:
        served_here.run_stdio()
