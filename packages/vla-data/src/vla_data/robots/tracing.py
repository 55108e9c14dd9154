"""A driver that writes down what reaches it: a flight recorder, which stands however the rest ended."""

from __future__ import annotations

import json
import logging
import queue
import threading
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
    and, of a `send`, `action`. A thread of its own hands it to the operating system at once: a disk that is
    busy for a second must not keep a robot waiting for as long.

    Args:
        path: appended to.
    """

    def __init__(self, driver: Driver, path: Path) -> None:
        self.driver = driver
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._keep, name="flight recorder", daemon=True)
        self._thread.start()

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
        self._lines.put(None)
        self._thread.join()

    def _write(self, did: str, action: np.ndarray | None = None) -> None:
        told = {} if action is None else {"action": [round(float(v), 6) for v in action]}
        self._lines.put(json.dumps({"time": self.driver.clock(), "did": did, **told}) + "\n")

    def _keep(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._file.write(line)
            except (OSError, ValueError):  # a full disk is none of the robot's business
                log.exception("the flight recorder cannot write")
        with suppress(OSError):
            self._file.close()


def read_trace(path: Path) -> list[dict]:
    """Its lines; a last one that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]
