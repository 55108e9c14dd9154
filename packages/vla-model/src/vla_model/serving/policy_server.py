"""`vla serve policy`: a policy behind a websocket, for our own harness and for openpi's client.

Notable features:
- a token is asked of everybody; without one only `GET /healthz` is answered
- a web page cannot connect (a browser says its origin), and the loopback interface is the default
- what comes in is held against the policy's inputs before it thinks, what goes out is finite; text is sent in
  place of an answer where something is wrong, without a traceback
- every connection has episodes of its own; they are asked one after the other

The protocol is described in `vla_data.robots.messages`.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import socket
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import torch
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from vla_data.camera_control import LookingPolicy
from vla_data.errors import ConfigError, VlaError
from vla_data.protocols import Policy
from vla_data.robots.conventions import Convention, find_convention, plain
from vla_data.robots.messages import MOST_SLOTS
from vla_data.robots.pauses import few_pauses
from vla_data.robots.wire import MOST_BYTES, MessageError, pack, unpack
from vla_model.checkpoint import find_checkpoint
from vla_model.policies.registry import load_policy
from vla_model.serving.conversation import Conversation, Desk
from vla_model.serving.tokens import require_hard_to_guess

log = logging.getLogger(__name__)
MOST_CONNECTIONS = 16


@dataclass(frozen=True)
class ServeConfig:
    """Where and to whom.

    Args:
        host, port: of the interface; port 0 takes a free one.
        token: that clients have to show.
        connections: at once.
        threads: of the processor, for the policy.

    Raises:
        ConfigError: there is no token, or it is too short to keep anyone out.
    """

    token: str
    host: str = "127.0.0.1"
    port: int = 8000
    connections: int = MOST_CONNECTIONS
    threads: int = 1

    def __post_init__(self) -> None:
        require_hard_to_guess(self.token, "token")


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("a token cannot be read", where=str(path), got=str(error)) from error


def server_of(run: Path, config: ServeConfig, convention: str | None = None) -> PolicyServer:
    """The server of a run's checkpoint, to be entered.

    Raises:
        CheckpointError: there is none, or its files do not match their manifest.
        UnknownNameError: no such convention.
        ConfigError, SpecMismatchError: as of `PolicyServer`.
    """
    torch.set_num_threads(config.threads)
    chosen = find_convention(convention) if convention else None
    return PolicyServer(load_policy(find_checkpoint(run)), config, str(run), chosen)


class PolicyServer:
    """A policy that answers on a websocket once it is entered; `serve_forever` waits.

    Args:
        policy: asked by one connection at a time.
        name: told to clients.
        convention: in which a flat observation is understood; None for the policy's own names.

    Raises:
        ConfigError: the policy moves cameras, for which the protocol has no words, or wants the simulator's
            state.
        SpecMismatchError: the convention is of another robot or of other cameras.
    """

    def __init__(
        self, policy: Policy, config: ServeConfig, name: str, convention: Convention | None = None
    ) -> None:
        spec = policy.input_spec
        if isinstance(policy, LookingPolicy) or spec.privileged:
            raise ConfigError(
                "this policy cannot be served",
                where=name,
                expected="a policy that sees what its cameras show",
                got="one that moves cameras" if isinstance(policy, LookingPolicy) else "a scripted expert",
            )
        self.desk = Desk(policy, name, convention or plain(spec))
        self.config = config
        self._room = list(range(0, config.connections * MOST_SLOTS, MOST_SLOTS))  # first slots, one a client
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "enter the server first"
        return int(self._server.socket.getsockname()[1])

    def __enter__(self) -> PolicyServer:
        self._server = serve(
            self._attend,
            self.config.host,
            self.config.port,
            family=socket.AF_INET6 if ":" in self.config.host else socket.AF_INET,
            origins=[None],
            process_request=self._admit,
            compression=None,
            max_size=MOST_BYTES,
            server_header=None,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._thread.join()

    def serve_forever(self) -> None:
        """Until the process is interrupted."""
        with few_pauses():
            while self._thread.is_alive():
                self._thread.join(1.0)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None for those who may come in."""
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        known = kind in ("Bearer", "Api-Key") and hmac.compare_digest(
            shown.strip().encode(), self.config.token.encode()
        )
        if known:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "Show the token: Authorization: Bearer …\n")

    def _attend(self, connection: ServerConnection) -> None:
        """Serve one client until it leaves."""
        try:
            first = self._room.pop()
        except IndexError:
            connection.close(1013, "too many connections")
            return
        try:
            self._converse(connection, Conversation(self.desk, first))
        except ConnectionClosed:
            pass
        finally:
            self._room.append(first)

    def _converse(self, connection: ServerConnection, conversation: Conversation) -> None:
        connection.send(pack(self.desk.hello))
        while True:
            data = connection.recv()
            try:
                if isinstance(data, str):
                    raise MessageError("a message is text", expected="msgpack")
                answer = pack(conversation.answer(unpack(data)))
            except VlaError as error:
                connection.send(str(error))
            except Exception:
                number = secrets.token_hex(4)
                log.exception("a policy failed; its client was told %s", number)
                connection.send(f"the policy failed; the server's log says why, at {number}")
            else:
                connection.send(answer)
