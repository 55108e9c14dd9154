"""A simulated robot as a driver: what a program does with it, it can do with a real one.

An action is one control step of the simulator, done when `send` returns; between commands the world stands
still. Its clock counts control steps, or, in real time, is that of the wall: whoever commands it at the
control rate then sees it move as fast as a robot would, and observations grow old as those of a robot do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from vla_data.protocols import ContinuingEnv, SimEnv
from vla_data.robots.driver import RobotError
from vla_data.types import Camera, Observation, RobotSpec, StepResult, Trial

SLOT = 0


class SimDriver:
    """One slot of a simulator; a `Driver`.

    Args:
        env: at least one slot, of which the first is used.
        real_time: the clock is the wall's.
        privileged: observations hold the simulator's own state, for scripted experts.
    """

    def __init__(self, env: SimEnv, *, real_time: bool = False, privileged: bool = False) -> None:
        self._env, self._real_time, self._privileged = env, real_time, privileged
        self._steps = 0
        self._connected = False
        self.placed: Trial | None = None
        self.result = StepResult(0.0, False)

    @property
    def spec(self) -> RobotSpec:
        return self._env.robot

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return self._env.cameras

    @property
    def env(self) -> SimEnv:
        """The simulator, for its scripted experts."""
        return self._env

    @property
    def tasks(self) -> tuple[str, ...]:
        """What can be placed."""
        return self._env.tasks

    def max_steps(self, task: str) -> int:
        """The simulator's own cap."""
        return self._env.max_steps(task)

    def place(self, trial: Trial) -> None:
        """Arrange the scene of a trial, as a person would on a table."""
        self._env.reset([SLOT], [trial])
        self.placed, self.result = trial, StepResult(0.0, False)

    def go_on(self, trial: Trial) -> bool:
        """Begin another trial in the scene as it stands; False where its task needs another scene."""
        if not isinstance(self._env, ContinuingEnv) or not self._env.go_on(SLOT, trial):
            return False
        self.placed, self.result = trial, StepResult(0.0, False)
        return True

    def clock(self) -> float:
        """Seconds of simulated time since the robot was made, or of the wall's clock."""
        if self._real_time:
            return time.monotonic()
        return self._steps / self.spec.action.control_hz

    def connect(self) -> None:
        if self.placed is None:
            self.place(Trial(self.tasks[0], 0, ""))
        self._connected = True

    def read(self, *, images: bool = True) -> Observation:
        self._require_connected()
        now = self.clock()
        (seen,) = self._env.observe([SLOT], images=images, privileged=self._privileged)
        return replace(seen, time=now)

    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None:
        self._require_connected()
        (self.result,) = self._env.step([SLOT], action[None])
        self._steps += 1

    def hold(self) -> None:
        """Time stands still already."""

    def close(self) -> None:
        self._connected = False
        self._env.close()

    def _require_connected(self) -> None:
        if not self._connected:
            raise RobotError("the simulated robot is not connected", next_step="connect() first")


def sim_driver(
    sim: str,
    tasks: Sequence[str],
    cameras: Sequence[tuple[str, int, int]],
    *,
    real_time: bool = False,
    privileged: bool = False,
) -> SimDriver:
    """A simulator by name, its cameras as (name, height, width).

    Raises:
        UnknownNameError: no such simulator, task or camera.
        MissingDependencyError: its package, its assets or off-screen OpenGL are absent.
    """
    from vla_data.sim import make_env
    from vla_data.sim.config import CameraView, SimConfig

    views = tuple(CameraView(name, name, height, width) for name, height, width in cameras)
    env = make_env(sim, tasks, SimConfig(views), num_envs=1)
    return SimDriver(env, real_time=real_time, privileged=privileged)
