"""A simulated robot as a driver: what a program does with it, it can do with a real one.

Time stands still between commands: an action is one control step of the simulator, done when `send` returns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from vla_data.protocols import SimEnv
from vla_data.robots.driver import RobotError
from vla_data.types import Camera, Observation, RobotSpec, StepResult, Trial

SLOT = 0


class SimDriver:
    """One slot of a simulator; a `Driver`.

    Args:
        env: at least one slot, of which the first is used.
    """

    def __init__(self, env: SimEnv) -> None:
        self._env = env
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

    def clock(self) -> float:
        """Seconds of simulated time since the robot was made."""
        return self._steps / self.spec.action.control_hz

    def connect(self) -> None:
        if self.placed is None:
            self.place(Trial(self.tasks[0], 0, ""))
        self._connected = True

    def read(self, *, images: bool = True) -> Observation:
        self._require_connected()
        (seen,) = self._env.observe([SLOT], images=images)
        return Observation(self.clock(), seen.images, seen.state, seen.instruction)

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


def sim_driver(sim: str, tasks: Sequence[str], cameras: Sequence[tuple[str, int, int]]) -> SimDriver:
    """A simulator by name, its cameras as (name, height, width).

    Raises:
        UnknownNameError: no such simulator, task or camera.
        MissingDependencyError: its package, its assets or off-screen OpenGL are absent.
    """
    from vla_data.sim import make_env
    from vla_data.sim.config import CameraView, SimConfig

    views = tuple(CameraView(name, name, height, width) for name, height, width in cameras)
    return SimDriver(make_env(sim, tasks, SimConfig(views), num_envs=1))
