"""The other side of `vla_data.robots.robot_service`: a robot that runs in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict
from vla_data.errors import ConfigError, VlaError
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import RefusedError
from vla_data.robots.pauses import few_pauses
from vla_data.robots.robot_service import Door
from vla_data.robots.scene import Judge
from vla_data.robots.station import StationConfig, open_station
from vla_data.robots.wire import MOST_BYTES, pack, unpack
from vla_data.types import Camera, Observation, RobotSpec

RENEWED = 0.08  # seconds
START_SECONDS = 120.0
ANSWER_SECONDS = 90.0


class RobotLink:
    """Asks a robot's process. Threads may call it at the same time; each has a connection of its own.

    Args:
        address: of the process's local socket.

    Raises:
        RobotError: nobody answers there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        hello = self.ask("hello")
        self.spec = from_dict(RobotSpec, hello["spec"], where="spec")
        self.cameras = tuple(from_dict(Camera, c, where="camera") for c in hello["cameras"])
        self.skills: Mapping[str, list[str]] = hello["skills"]
        self.lease_seconds = float(hello["lease"])
        self.judge: Judge = "simulator" if hello["judge"] == "simulator" else "agent"

    def ask(self, do: str, **told: Any) -> dict[str, Any]:
        """What is answered.

        Raises:
            RefusedError: the safety kernel does not carry it out.
            RobotError: the robot, or its process, does not answer.
            ConfigError, VlaError: something else is wrong with what was asked.
        """
        connection = self._taken()
        try:
            connection.send_bytes(pack({"do": do, **told}))
            if not connection.poll(ANSWER_SECONDS):
                raise RobotError("a robot's process does not answer in time", where=self.address)
            answer = unpack(connection.recv_bytes(MOST_BYTES))
        except (EOFError, OSError) as error:
            connection.close()
            raise RobotError("a robot's process is gone", where=self.address, got=str(error)) from error
        except BaseException:
            connection.close()  # its answer may still come
            raise
        with self._lock:
            self._free.append(connection)
        if "error" in answer:
            raise _error(answer["error"])
        return answer

    def observe(self) -> Observation:
        """What it sees now, pictures with it."""
        told = self.ask("observe")
        return Observation(float(told["time"]), told["images"], np.asarray(told["state"], np.float32))

    def hold(self, owner: str, present: Callable[[], bool], *, seize: bool = False) -> HeldLease:
        """A lease that is renewed for as long as its owner is there, to be entered.

        Args:
            present: asked every `RENEWED` seconds.
        """
        return HeldLease(self, owner, present, seize)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            for connection in self._free:
                connection.close()
            self._free.clear()

    def _taken(self) -> Connection:
        with self._lock:
            if self._free:
                return self._free.pop()
        try:
            return Client(self.address, "AF_UNIX")
        except OSError as error:
            raise RobotError("a robot's process is gone", where=self.address, got=str(error)) from error


class HeldLease:
    """The right to move, renewed in a thread of its own while `present`; given back when left.

    Raises:
        RefusedError: somebody else has it, or the robot is stopped or faulty.
    """

    def __init__(self, link: RobotLink, owner: str, present: Callable[[], bool], seize: bool) -> None:
        self._link, self._owner, self._present, self._seize = link, owner, present, seize
        self._over = threading.Event()
        self.lost = ""

    def __enter__(self) -> HeldLease:
        told = self._link.ask("acquire", owner=self._owner, seize=self._seize)
        self.key = str(told["key"])
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        if not self.lost:
            with suppress(VlaError):
                self._link.ask("release", key=self.key)

    def _renew(self) -> None:
        while not self._over.wait(RENEWED):
            if not self._present():
                self.lost = "nobody waits for it any more"
                with suppress(VlaError):
                    self._link.ask("release", key=self.key)
                return
            try:
                self._link.ask("renew", key=self.key, seconds=self._link.lease_seconds)
            except VlaError as error:
                self.lost = error.message
                return


def _error(told: Mapping[str, Any]) -> VlaError:
    parts = {n: str(told[n]) for n in ("where", "expected", "got", "next_step") if told.get(n)}
    message = str(told.get("message", "something failed"))
    if told.get("kind") == "refused":
        return RefusedError(message, str(told.get("reason", "")), **parts)
    kinds: dict[str, type[VlaError]] = {"robot": RobotError, "config": ConfigError}
    return kinds.get(str(told.get("kind")), VlaError)(message, **parts)


@dataclass(eq=False)
class RobotProcess:
    """A robot's process, started when entered and ended when left.

    Raises:
        VlaError: the robot could not be opened; the message of its process.
    """

    config: StationConfig

    def __enter__(self) -> RobotLink:
        context = multiprocessing.get_context("spawn")
        self._directory = Path(tempfile.mkdtemp(prefix="vla-robot-"))  # ours alone
        address = str(self._directory / "socket")
        ours, theirs = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(
            target=_run, args=(self.config, address, theirs), name="robot", daemon=True
        )
        self.process.start()
        theirs.close()
        try:
            said = _first_word(ours)
            if said:
                raise VlaError("a robot could not be started", where=self.config.robot, got=said)
            self.link = RobotLink(address)
        except BaseException:
            self._end()
            raise
        return self.link

    def __exit__(self, *exc: object) -> None:
        self.link.close()
        self._end()

    def _end(self) -> None:
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(20)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        shutil.rmtree(self._directory, ignore_errors=True)


def _first_word(pipe: Connection) -> str:
    """Empty once the robot runs, else why it does not."""
    try:
        return pipe.recv_bytes().decode() if pipe.poll(START_SECONDS) else "it takes too long"
    except EOFError:
        return "its process ended"


def _run(config: StationConfig, address: str, told: Connection) -> None:
    """In the robot's process: nothing is printed where its parent speaks a protocol."""
    import signal

    os.dup2(2, 1)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when
    threading.Thread(target=_end_with_parent, args=(over,), daemon=True).start()
    try:
        with open_station(config) as station, few_pauses():
            _hurry()  # not before: opening takes seconds, in which nobody else would get the processor
            with Door(station, address):
                _say(told, "")
                station.loop.run(over)
    except VlaError as error:
        if told.closed:
            raise
        _say(told, str(error))


def _hurry() -> None:
    """Real-time priority, where the user may have it: a control loop waits for nobody."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))


def _say(told: Connection, text: str) -> None:
    told.send_bytes(text.encode())
    told.close()


def _end_with_parent(over: threading.Event) -> None:
    """A robot whose parent is gone lets go of its motors."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    over.set()
