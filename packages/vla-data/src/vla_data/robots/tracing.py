"""A driver that writes down what reaches it: a flight recorder, which stands however the rest ended."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vla_data.robots.driver import Driver
from vla_data.types import Camera, Observation, RobotSpec

log = logging.getLogger(__name__)


class TracingDriver:
    """A driver behind a recorder.

    Every line is a JSON object with `time` (the robot's, seconds), `did` ("connect", "send", "hold", "close")
    and, of a `send`, `action`; it is handed to the operating system before the robot is told.

    Args:
        path: appended to.
    """

    def __init__(self, driver: Driver, path: Path) -> None:
        self.driver = driver
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1, encoding="utf-8")

    @property
    def spec(self) -> RobotSpec:
        return self.driver.spec

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return self.driver.cameras

    def clock(self) -> float:
        return self.driver.clock()

    def connect(self) -> None:
        self._write("connect")
        self.driver.connect()

    def read(self, *, images: bool = True) -> Observation:
        return self.driver.read(images=images)

    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None:
        self._write("send", action)
        self.driver.send(action)

    def hold(self) -> None:
        self._write("hold")
        self.driver.hold()

    def close(self) -> None:
        self._write("close")
        self.driver.close()
        with suppress(OSError):
            self._file.close()

    def _write(self, did: str, action: np.ndarray | None = None) -> None:
        told = {} if action is None else {"action": [round(float(v), 6) for v in action]}
        try:
            self._file.write(json.dumps({"time": self.driver.clock(), "did": did, **told}) + "\n")
        except (OSError, ValueError):  # a full disk must not keep a robot from being held
            log.exception("the flight recorder cannot write")


def read_trace(path: Path) -> list[dict]:
    """Its lines; a last one that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]
