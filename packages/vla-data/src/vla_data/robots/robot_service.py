"""A robot in a process of its own: control loop, safety kernel, and nothing else that could hold it up.

Other processes of the same user ask over a local socket, in messages as `vla_data.robots.wire` packs them:
`{"do": name, ...}` is answered by a mapping of plain values and arrays, or by `{"error": {...}}`. Nothing is
unpickled. What moves the robot needs a lease, which its holder has to renew; whoever falls silent, is killed
or frozen loses it within half a second, and the robot brakes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, cast

import numpy as np

from vla_data.config import to_dict
from vla_data.errors import ConfigError, VlaError
from vla_data.registry import lookup
from vla_data.robots.control_loop import ControlLoop
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import RefusedError
from vla_data.robots.motions import Gripping, Reaching
from vla_data.robots.station import Station
from vla_data.robots.wire import MessageError, pack, unpack

log = logging.getLogger(__name__)
MOST_MESSAGE = 2**20  # bytes, of what is asked
Message = dict[str, Any]


class RobotService:
    """Answers what other processes ask of a robot.

    Args:
        station: the robot with its loop, which runs.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._kernel = station.loop.kernel
        self._loop: ControlLoop = station.loop
        self._does: dict[str, Callable[[Message], Message]] = {
            "hello": self._hello,
            "state": self._state,
            "motion": self._motion,
            "observe": self._observe,
            "acquire": self._acquire,
            "renew": self._renew,
            "release": self._release,
            "task": self._task,
            "reach": self._reach,
            "grip": self._grip,
            "operate": self._operate,
            "command": self._command,
            "judge": self._judge,
            "cancel": self._cancel,
            "stop": self._stop,
            "reset_stop": self._reset_stop,
            "connect": self._connect,
            "cadence": self._cadence,
        }

    def answer(self, message: Message) -> Message:
        """What is answered; never raises."""
        try:
            do = message.get("do")
            if not isinstance(do, str) or do not in self._does:
                raise ConfigError(
                    "a robot is asked for something unknown",
                    where="do",
                    expected=", ".join(self._does),
                    got=repr(do)[:40],
                )
            return self._does[do](message)
        except VlaError as error:
            return {"error": told_error(error)}
        except Exception as error:
            log.exception("a robot could not do what it was asked")
            return {"error": {"kind": "error", "message": type(error).__name__}}

    def _hello(self, message: Message) -> Message:
        return {
            "spec": to_dict(self._kernel.spec),
            "cameras": [to_dict(c) for c in self._kernel.cameras],
            "skills": {name: list(said) for name, said in self._station.skills.items()},
            "lease": self._kernel.config.lease,
            "judge": self._station.judge,
        }

    def _state(self, message: Message) -> Message:
        seen = self._loop.ask(lambda: self._kernel.observe(images=False))
        state = self._kernel.state()
        return {
            "kernel": asdict(state),
            "time": seen.time,
            "state": seen.state,
            "motion": asdict(self._loop.report()),
            "scene": self._station.scene,
            "last": self._loop.last,
        }

    def _motion(self, message: Message) -> Message:
        return {"motion": asdict(self._loop.report()), "kernel": asdict(self._kernel.state())}

    def _observe(self, message: Message) -> Message:
        seen = self._loop.ask(lambda: self._kernel.observe(images=True))
        return {"time": seen.time, "state": seen.state, "images": dict(seen.images)}

    def _acquire(self, message: Message) -> Message:
        seize = message.get("seize", False) is True
        return asdict(self._kernel.acquire(_text(message, "owner"), _seconds(message), seize=seize))

    def _renew(self, message: Message) -> Message:
        return asdict(self._kernel.renew(_text(message, "key"), _seconds(message)))

    def _release(self, message: Message) -> Message:
        self._kernel.release(_text(message, "key"))
        return {}

    def _task(self, message: Message) -> Message:
        """Carry out a skill; the world is arranged for it first where it is a simulated one."""
        skill, instruction = _text(message, "skill"), _text(message, "instruction")
        lookup("skill", self._station.skills, skill)
        self._kernel.require_lease(_text(message, "key"))
        seed, steps = _whole(message, "seed", 0), _whole(message, "steps", 0)
        arrange = message.get("arrange", False) is True
        motion = self._loop.ask(
            lambda: self._station.motion(skill, instruction, steps or None, seed, arrange=arrange), 60.0
        )
        return {"number": self._loop.start(_text(message, "key"), instruction, motion)}

    def _reach(self, message: Message) -> Message:
        target = message.get("target")
        if not isinstance(target, dict) or not target:
            raise MessageError("a place is told as names and numbers", where="target", got=repr(target)[:60])
        wanted = {str(k): _number(v, str(k)) for k, v in target.items()}
        motion = Reaching(self._kernel.spec, wanted)
        self._kernel.require_lease(_text(message, "key"))
        self._station.expect("reach", "move to a place")
        return {"number": self._loop.start(_text(message, "key"), "move to a place", motion)}

    def _grip(self, message: Message) -> Message:
        close = message.get("close") is True
        motion = Gripping(self._kernel.spec, close)
        self._kernel.require_lease(_text(message, "key"))
        what = "close the gripper" if close else "open the gripper"
        self._station.expect("grip", what)
        return {"number": self._loop.start(_text(message, "key"), what, motion)}

    def _operate(self, message: Message) -> Message:
        """A person drives by `command`; where they do not, a policy, if one is asked for."""
        skill, instruction = str(message.get("skill", "")), _text(message, "instruction")
        lookup("skill", {**self._station.skills, "": ()}, skill)
        policy = message.get("policy", False) is True
        self._kernel.require_lease(_text(message, "key"))
        motion = self._loop.ask(lambda: self._station.by_hand(skill, instruction, policy=policy), 60.0)
        return {"number": self._loop.start(_text(message, "key"), instruction, motion)}

    def _judge(self, message: Message) -> Message:
        """The motion with this number is over, and somebody says whether it succeeded."""
        number, success = _whole(message, "number", 0), message.get("success") is True
        if success:
            self._station.judged = number
        self._loop.cancel("judged by a person", number)
        self._loop.ask(lambda: self._station.verdict(number, success))
        return {}

    def _command(self, message: Message) -> Message:
        """One action; of a person who drives it is the next, else it is carried out in the next step."""
        action, key = message.get("action"), _text(message, "key")
        operator = self._station.operator
        if operator is not None and operator.state in ("moving", "waiting"):
            if not self._loop.moves_under(key):
                self._kernel.require_lease(key)
                raise ConfigError("a person drives under another lease", where="command")
            operator.want(action)
            return {}
        observed = message.get("observed_at")
        return {"sent": self._loop.ask(lambda: self._kernel.command(key, action, observed))}

    def _cancel(self, message: Message) -> Message:
        self._loop.cancel(_text(message, "said"), _whole(message, "number", 0) or None)
        return {"motion": asdict(self._loop.report())}

    def _stop(self, message: Message) -> Message:
        self._kernel.stop(_text(message, "reason"))
        return {"kernel": asdict(self._kernel.state())}

    def _reset_stop(self, message: Message) -> Message:
        self._kernel.reset_stop()
        return {"kernel": asdict(self._kernel.state())}

    def _connect(self, message: Message) -> Message:
        self._loop.ask(self._kernel.connect, 30.0)
        return {}

    def _cadence(self, message: Message) -> Message:
        report = self._loop.cadence()
        if message.get("restart") is True:
            self._loop.restart_cadence()
        policy = self._loop.counts()
        return {
            **asdict(report),
            "late_share": report.late_share,
            "episodes": self._station.written,
            **policy,
        }


class Door:
    """A local socket at which a robot is asked, while it is entered; a thread serves each connection.

    Args:
        address: of the socket, in a directory that is the user's alone.
    """

    def __init__(self, station: Station, address: str) -> None:
        self._service, self._address = RobotService(station), address

    def __enter__(self) -> Door:
        self._listener = Listener(self._address, "AF_UNIX", backlog=64)
        Path(self._address).chmod(0o600)
        threading.Thread(target=self._accept, daemon=True, name="door").start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=_converse, args=(self._service, connection), daemon=True).start()


def _converse(service: RobotService, connection: Connection) -> None:
    with connection, suppress(EOFError, OSError):
        while True:
            data = connection.recv_bytes(MOST_MESSAGE)
            try:
                answer = service.answer(unpack(data))
            except MessageError as error:
                answer = {"error": told_error(error)}
            connection.send_bytes(pack(answer))


def told_error(error: VlaError) -> Message:
    """An error as plain values."""
    kinds = {RefusedError: "refused", RobotError: "robot", ConfigError: "config"}
    kind = next((name for base, name in kinds.items() if isinstance(error, base)), "error")
    parts = {n: getattr(error, n, None) for n in ("message", "where", "expected", "got", "next_step")}
    return {"kind": kind, "reason": getattr(error, "reason", ""), **{k: v for k, v in parts.items() if v}}


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or len(value) > 2000:
        raise MessageError(
            "a text is missing", where=name, expected="at most 2000 characters", got=_short(value)
        )
    return value


def _whole(message: Message, name: str, default: int) -> int:
    value = message.get(name, default)
    if type(value) is not int or not 0 <= value < 2**31:
        raise MessageError("a whole number is expected", where=name, expected="from 0", got=_short(value))
    return value


def _seconds(message: Message) -> float | None:
    value = message.get("seconds")
    return None if value is None else _number(value, "seconds")


def _number(value: object, name: str) -> float:
    if type(value) not in (int, float) or not np.isfinite(cast(float, value)):
        raise MessageError("a finite number is expected", where=name, got=_short(value))
    return float(cast(float, value))


def _short(value: object) -> str:
    return repr(value)[:60]
