"""Everything that `vla serve mcp` starts: a robot's process, a policy's, and the server agents talk to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from vla_data.errors import ConfigError
from vla_data.robots.pauses import few_pauses
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.station import StationConfig
from vla_model.serving.addresses import Address
from vla_model.serving.audit import AuditLog
from vla_model.serving.guard import MOST_BODY, Guard
from vla_model.serving.jobs import Jobs
from vla_model.serving.mcp_server import FIRST, WAITING, make_server
from vla_model.serving.policy_process import policy_of
from vla_model.serving.rights import ANYBODY
from vla_model.serving.robot_tools import RobotTools
from vla_model.serving.status_page import add_status_page
from vla_model.serving.tokens import Caller, Scope
from vla_model.serving.updates import Updates

PATH = "/mcp"


@dataclass(frozen=True)
class McpConfig:
    """What is served, to whom.

    Args:
        station: robot, skills, recording.
        run: of the policy that moves it; None for the simulator's scripted expert.
        language: run of a language model for `ask`; None without.
        detector, depth: weights for `describe_scene`; None without.
        local_scopes: of whoever started it over stdio.
        address: over HTTP: the interface, and the names under which clients know it.
        port: 0 takes a free one.
        audit: file of the audit log; None keeps it in memory.
    """

    station: StationConfig = field(default_factory=StationConfig)
    run: Path | None = None
    language: Path | None = None
    detector: str | None = None
    depth: str | None = None
    local_scopes: tuple[Scope, ...] = ("read", "move")
    address: Address = field(default_factory=Address)
    port: int = 8010
    audit: Path | None = None


@dataclass(eq=False)
class McpService:
    """A service that is ready to be run."""

    config: McpConfig
    link: RobotLink
    jobs: Jobs
    tools: RobotTools
    audit: AuditLog
    updates: Updates

    def run_stdio(self) -> None:
        """Until standard input ends."""
        server = make_server(self.tools, self.audit, self.updates, version("vla-model"))
        server.run("stdio")

    def run_http(self, callers: Sequence[Caller], ready: Callable[[int], None]) -> None:
        """Until the process is interrupted.

        Args:
            ready: told the port, once it listens.

        Raises:
            ConfigError: nobody may come in, or the port is taken.
        """
        import uvicorn

        with listening(self.config.address.host, self.config.port) as door:
            port = int(door.getsockname()[1])
            options = uvicorn.Config(
                self.app(callers, port),
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=1,
                ws="none",
                # Whoever asks without a proxy between must not say where it comes from.
                proxy_headers=bool(self.config.address.public),
            )
            ready(port)
            uvicorn.Server(options).run(sockets=[door])

    def app(self, callers: Sequence[Caller], port: int) -> ASGIApp:
        """The ASGI application that listens at a port.

        Raises:
            ConfigError: there is no caller.
        """
        if not callers:
            raise ConfigError("nobody may come in", where="tokens", expected="one token at least")
        address, told = self.config.address, version("vla-model")
        hosts = address.hosts(port)
        server = make_server(self.tools, self.audit, self.updates, told, callers, address.url(port))
        add_status_page(server, self.tools, self.audit)
        security = TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"{s}://{h}" for s in ("http", "https") for h in hosts]
        )
        inner = server.streamable_http_app(
            streamable_http_path=PATH, max_request_body_size=MOST_BODY, transport_security=security
        )
        urgent = {ANYBODY: self.tools.stop_for}
        return Guard(inner, callers, WAITING, FIRST, hosts, urgent, self.audit.refused)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ConfigError: the port is taken, or the interface is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio sends small answers at once only on sockets that it knows to be TCP.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(128)
    except OSError as error:
        door.close()
        raise ConfigError(
            "this port cannot be listened at", where=f"{host}:{port}", got=str(error), next_step="--port 0"
        ) from error
    return door


@contextmanager
def open_service(config: McpConfig) -> Iterator[McpService]:
    """Robot, policy and tools, until left.

    Raises:
        VlaError: one of them cannot be started.
    """
    with ExitStack() as stack:
        station = config.station
        if config.run is not None:
            station = stack.enter_context(policy_of(config.run, station))
        audit = AuditLog(config.audit)
        stack.callback(audit.close)
        link = stack.enter_context(RobotProcess(station))
        updates = Updates()
        jobs = Jobs(
            link,
            lambda job: updates.changed("robot://jobs", f"robot://jobs/{job.id}", "robot://state"),
            link.judge,
        )
        local = Caller("local", config.local_scopes, "0" * 64)
        tools = RobotTools(link, jobs, local, _describer(config, link), _asker(config))
        stack.enter_context(few_pauses())
        yield McpService(config, link, jobs, tools, audit, updates)


def _asker(config: McpConfig):
    if config.language is None:
        return None
    from vla_model.lm.chat import reply
    from vla_model.lm.checkpoint import load_lm
    from vla_model.lm.sampling import SampleConfig

    model, tokenizer, _ = load_lm(config.language)
    options = SampleConfig(256, 0.0)
    return lambda question: reply(model, tokenizer, question, options)


def _describer(config: McpConfig, link: RobotLink):
    if config.detector is None:
        return None
    from vla_model.serving.describing import Describer

    return Describer(link, config.detector, config.depth)
