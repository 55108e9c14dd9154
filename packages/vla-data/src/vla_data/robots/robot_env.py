"""A robot where the roll-out loop expects an environment: one slot, paced by the robot's own clock.

Every action passes the safety kernel under a lease that is renewed at each step. While the policy thinks
nothing is sent, and nobody ticks the kernel either: a robot that goes on by itself without commands needs a
loop of its own, which is still to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from vla_data.robots.kernel import Lease, RefusedError, SafetyKernel
from vla_data.robots.scene import Scene
from vla_data.types import Camera, Observation, RobotSpec, StepResult, Trial

OWNER = "evaluation"


class RobotEnv:
    """A `SimEnv` of one slot over a robot.

    Args:
        kernel: connected.
        scene: arranges and judges.
        tasks: that trials may name.
        steps: the cap of a trial.
        sleep: waits for the robot's next step; None for a robot whose time stands still between commands.
    """

    num_envs = 1

    def __init__(
        self,
        kernel: SafetyKernel,
        scene: Scene,
        tasks: Sequence[str],
        steps: int,
        sleep: Callable[[float], None] | None = time.sleep,
    ) -> None:
        self._kernel, self._scene, self._steps = kernel, scene, steps
        self.tasks = tuple(tasks)
        self._sleep = sleep
        self._trial: Trial | None = None
        self._lease: Lease | None = None
        self._began = self._seen = self._due = 0.0

    @property
    def robot(self) -> RobotSpec:
        return self._kernel.spec

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return self._kernel.cameras

    def max_steps(self, task: str) -> int:
        """The cap of a trial."""
        return self._steps

    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None:
        """Have the scene arranged.

        Raises:
            StoppedByPersonError: a person ends the session.
            RefusedError: the robot is stopped, or somebody else moves it.
        """
        (self._trial,) = trials
        self._let_go()
        while self._kernel.state().phase == "braking":
            self._wait()
            self._kernel.tick()
        self._scene.arrange(self._trial)
        self._wait()
        self._began = self._kernel.clock()

    def observe(
        self,
        slots: Sequence[int],
        *,
        images: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        privileged: bool = False,
    ) -> list[Observation]:
        """What the robot's sensors say, timed from the trial's beginning."""
        assert self._trial is not None, "reset first"
        self._kernel.tick()
        seen = self._kernel.observe(images=images)
        self._seen = seen.time
        return [replace(seen, time=seen.time - self._began, instruction=self._trial.instruction)]

    def step(self, slots: Sequence[int], actions: Float32[np.ndarray, "n action_dim"]) -> list[StepResult]:
        """Command one action at the next control step, and wait for its end.

        Raises:
            RefusedError: the kernel does not carry it out: somebody stopped the robot, for one.
            RobotError: the robot does not answer.
        """
        assert self._trial is not None, "reset first"
        if self._kernel.clock() - self._seen > 0:  # it moved on since somebody looked
            self._seen = self._kernel.observe(images=False).time
        self._lease = self._owned()
        self._kernel.command(self._lease.key, actions[0], self._seen)
        self._wait()
        result = self._scene.watch(self._trial)
        if result.success or result.ended:
            self._let_go()
        return [result]

    def close(self) -> None:
        """Give the right to move back; the kernel stays connected."""
        self._let_go()

    def _owned(self) -> Lease:
        """The lease, renewed; where it ran out while the policy thought, a new one."""
        if self._lease is not None:
            try:
                return self._kernel.renew(self._lease.key)
            except RefusedError as error:
                if error.reason != "lease":
                    raise
        return self._kernel.acquire(OWNER)

    def _let_go(self) -> None:
        if self._lease is not None:
            self._kernel.release(self._lease.key)
            self._lease = None
        self._kernel.tick()

    def _wait(self) -> None:
        """Until the control step is over."""
        if self._sleep is None:
            return
        step = 1.0 / self.robot.action.control_hz
        now = self._kernel.clock()
        self._due += step
        if self._due <= now:  # a rhythm that was missed begins anew, nothing is caught up
            self._due = now + step
        while (left := self._due - self._kernel.clock()) > 0:
            self._sleep(min(left, step))
            self._kernel.tick()
