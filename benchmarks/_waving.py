"""A policy that waves an arm, slowly thought out: for benchmarks of what moves while it thinks.

Its chunk follows a smooth path from where the arm is now, with an error of its own in every chunk, as chunks
of a learned policy have; an answer takes as long as it is told to, by chance.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

from vla_data.robots.arm_driver import ArmDriver
from vla_data.types import ActionChunk, InputSpec, ObservationWindow

TOKEN = "a-token-of-the-benchmark"
REACH = np.array([0.6, 0.3, 0.5, 0.4, 0.5, 0.4, 0.6])
RATES = np.array([0.21, 0.27, 0.33, 0.25, 0.4, 0.3, 0.5])  # Hz
ERROR = 0.03  # rad, standard deviation of a chunk's


class Waving:
    """Waves; a `Policy`.

    Args:
        slowest: answers take up to this, seconds, evenly by chance.
        horizon: seconds of a chunk.
    """

    def __init__(self, control_hz: float, slowest: float, horizon: float = 1.0, error: float = ERROR) -> None:
        driver = ArmDriver("panda", control_hz)
        self._middle = driver.arm.angles
        self._step, self._slowest, self._error = 1 / control_hz, slowest, error
        self.input_spec = InputSpec(driver.spec, (), round(horizon * control_hz))
        self._rng = np.random.default_rng(0)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None: ...

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        time.sleep(self._rng.uniform(0.0, self._slowest))
        return [self._chunk(w) for w in windows]

    def _chunk(self, window: ObservationWindow) -> ActionChunk:
        seen = window.latest
        ahead = self._step * np.arange(1, self.input_spec.action_horizon + 1)[:, None]
        path = self._middle + REACH * np.sin(2 * np.pi * RATES * (seen.time + ahead))
        here = seen.state[: len(self._middle)]
        arrives = np.minimum(ahead / 1.0, 1.0)  # what it begins away from the path it makes up for
        actions = (
            (1 - arrives) * here + arrives * path + self._rng.normal(0, self._error, len(REACH)) * arrives
        )
        spec = self.input_spec.robot.action
        return ActionChunk(np.clip(actions, spec.low, spec.high).astype(np.float32), spec)


def _serve(control_hz: float, slowest: float, horizon: float, told: Connection) -> None:
    from vla_model.serving.policy_server import PolicyServer, ServeConfig

    os.dup2(2, 1)
    policy = Waving(control_hz, slowest, horizon)
    with PolicyServer(policy, ServeConfig(TOKEN, port=0), "waving") as server:
        told.send_bytes(str(server.port).encode())
        parent = multiprocessing.parent_process()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if parent is not None:
            parent.join()


@contextmanager
def served(control_hz: float, slowest: float, horizon: float = 1.0) -> Iterator[tuple[str, int]]:
    """Address and process of a server of it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(control_hz, slowest, horizon, theirs), daemon=True)
    process.start()
    port = ours.recv_bytes().decode()
    assert process.pid is not None
    try:
        yield f"ws://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.join()
