"""A robot whose clock and place a test sets, and that remembers what reached it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vla_data.robots.driver import RobotError
from vla_data.types import ActionDim, ActionSpec, Camera, Joint, Observation, RobotSpec, StateDim

HZ = 20.0
ARM = RobotSpec(
    "two-joints",
    ActionSpec(
        (
            ActionDim("shoulder", "joint", "absolute", "joint", "rad", 1.0, -3.0, 3.0),
            ActionDim("elbow", "joint", "absolute", "joint", "rad", 1.0, -3.0, 3.0),
            ActionDim("gripper", "gripper", "absolute", "none"),
        ),
        HZ,
        gripper_closes=1,
    ),
    (StateDim("shoulder", "rad"), StateDim("elbow", "rad"), StateDim("opening")),
    (Joint("shoulder", -1.0, 2.0, 1.5), Joint("elbow", -2.5, 0.5, 3.0)),
)
HAND = RobotSpec(
    "hand",
    ActionSpec(
        (
            *(ActionDim(f"d{axis}", "position", "delta", "world", "m", 0.05) for axis in "xyz"),
            ActionDim("gripper", "gripper", "absolute", "none"),
        ),
        HZ,
        gripper_closes=1,
    ),
    tuple(StateDim(f"hand_{axis}", "m") for axis in "xyz"),
    workspace=((-0.3, 0.3), (0.2, 0.8), (0.05, 0.6)),
)


@dataclass
class FakeDriver:
    """`sent` holds (time, action), `held` the times of `hold`; `gone` makes every call fail.

    Joints that `follows` are at once where they are told to be.
    """

    spec: RobotSpec = ARM
    cameras: tuple[Camera, ...] = ()
    time: float = 100.0
    state: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))
    sent: list[tuple[float, np.ndarray]] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    gone: bool = False
    follows: int = 0

    def clock(self) -> float:
        return self.time

    def connect(self) -> None:
        self._here()

    def read(self, *, images: bool = True) -> Observation:
        self._here()
        return Observation(self.time, {}, self.state.copy())

    def send(self, action: np.ndarray) -> None:
        self._here()
        self.sent.append((self.time, np.array(action)))
        self.state[: self.follows] = action[: self.follows]

    def hold(self) -> None:
        self._here()
        self.held.append(self.time)

    def close(self) -> None: ...

    def _here(self) -> None:
        if self.gone:
            raise RobotError("unplugged", where=self.spec.name)


def floats(*values: float) -> np.ndarray:
    """float32 numbers in a row."""
    return np.array(values, np.float32)
