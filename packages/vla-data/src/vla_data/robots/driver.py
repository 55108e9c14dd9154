"""What a robot's own interface is to the kernel. Nothing but `vla_data.robots` may hold one: what reaches a
motor passes `SafetyKernel`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vla_data.errors import VlaError
from vla_data.types import Camera, Observation, RobotSpec


class RobotError(VlaError):
    """A robot cannot be reached, is unplugged, or refuses."""


@runtime_checkable
class Driver(Protocol):
    """A robot's own interface, called by one thread.

    `read` gives an observation whose time is `clock` seconds. `send` begins to carry out an action and
    returns at once; `hold` keeps the robot where it is until the next `send`. Each raises RobotError where
    the robot is gone.
    """

    @property
    def spec(self) -> RobotSpec: ...
    @property
    def cameras(self) -> tuple[Camera, ...]: ...
    def clock(self) -> float: ...
    def connect(self) -> None: ...
    def read(self, *, images: bool = True) -> Observation: ...
    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None: ...
    def hold(self) -> None: ...
    def close(self) -> None: ...
