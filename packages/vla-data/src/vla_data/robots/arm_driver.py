"""A joint-level simulated arm as a driver; what it is told are angles."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from vla_data.robots.driver import RobotError
from vla_data.sim.joint_arm import JointArm
from vla_data.types import ActionDim, ActionSpec, Camera, Joint, Observation, RobotSpec, StateDim

CONTROL_HZ = 50.0


class ArmDriver:
    """An arm from MJCF or URDF in continuous time; a `Driver`.

    State: its joints' angles, their speeds, and where the hand is.

    Args:
        file: see `JointArm`.
        control_hz: of what it is told.
        clock: seconds.
    """

    def __init__(
        self, file: str = "panda", control_hz: float = CONTROL_HZ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.arm = JointArm(file, clock, 1.0 / control_hz)
        self._clock, self._connected = clock, False
        self.spec = arm_spec(file, self.arm.joints, control_hz)
        self.cameras: tuple[Camera, ...] = (self.arm.camera,)

    def clock(self) -> float:
        return self._clock()

    def connect(self) -> None:
        self._connected = True
        self.arm.hold()

    def read(self, *, images: bool = True) -> Observation:
        self._require_connected()
        now = self._clock()
        self.arm.catch_up()
        state = np.concatenate([self.arm.angles, self.arm.speeds, self.arm.hand]).astype(np.float32)
        return Observation(now, {self.arm.camera.name: self.arm.picture()} if images else {}, state)

    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None:
        self._require_connected()
        self.arm.go_to(np.asarray(action, float))

    def hold(self) -> None:
        if self._connected:
            self.arm.hold()

    def close(self) -> None:
        self._connected = False
        self.arm.close()

    def _require_connected(self) -> None:
        if not self._connected:
            raise RobotError("the simulated arm is not connected", next_step="connect() first")


def arm_spec(file: str, joints: tuple[Joint, ...], control_hz: float) -> RobotSpec:
    """An arm whose action is where its joints are to be."""
    dims = tuple(ActionDim(j.name, "joint", "absolute", "joint", j.unit, 1.0, j.low, j.high) for j in joints)
    state = (
        *(StateDim(j.name, j.unit) for j in joints),
        *(StateDim(f"{j.name}_speed", f"{j.unit}/s") for j in joints),
        *(StateDim(f"hand_{axis}", "m") for axis in "xyz"),
    )
    name = file.rpartition("/")[2].partition(".")[0]
    return RobotSpec(f"joint-{name}", ActionSpec(dims, control_hz), state, joints)
