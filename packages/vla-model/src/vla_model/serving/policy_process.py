"""A policy's server in a process of its own: it may freeze or die without taking anything along."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from vla_data.errors import VlaError
from vla_data.robots.remote_policy import RemotePolicy
from vla_data.robots.station import StationConfig
from vla_model.serving.tokens import new_token

START_SECONDS = 120.0


@dataclass(eq=False)
class PolicyProcess:
    """`vla serve policy` for one robot, started when entered; gives address and token.

    Args:
        run: of `vla model finetune`.

    Raises:
        VlaError: the policy could not be opened; the message of its process.
    """

    run: Path
    threads: int = 1

    def __enter__(self) -> PolicyProcess:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        self.token = new_token()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(self.run, self.token, self.threads, theirs), name="policy", daemon=True
        )
        self.process.start()
        theirs.close()
        try:
            said = ours.recv_bytes().decode() if ours.poll(START_SECONDS) else "it takes too long"
        except EOFError:
            said = "its process ended"
        if not said.isdigit():
            self.__exit__()
            raise VlaError("a policy could not be started", where=str(self.run), got=said)
        self.address = f"ws://127.0.0.1:{said}"
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


@contextmanager
def policy_of(run: Path, station: StationConfig) -> Iterator[StationConfig]:
    """The station, moved by a policy in a process of its own.

    Raises:
        VlaError: the policy cannot be started.
    """
    with PolicyProcess(run) as policy:
        first = RemotePolicy(policy.address, policy.token)
        cameras = first.input_spec.cameras
        first.close()
        yield replace(station, policy=policy.address, token=policy.token, cameras=cameras)


def _serve(run: Path, token: str, threads: int, told: Connection) -> None:
    from vla_model.serving.policy_server import ServeConfig, server_of

    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    try:
        with server_of(run, ServeConfig(token, port=0, threads=threads)) as server:
            told.send_bytes(str(server.port).encode())
            told.close()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            if parent is not None:
                parent.join()
    except VlaError as error:
        told.send_bytes(str(error).encode())
