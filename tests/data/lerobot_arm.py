"""An arm with the public interface of LeRobot's `Robot`, and one that leads, with `Teleoperator`'s."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOTORS = ("shoulder_pan", "elbow_flex", "gripper")


@dataclass
class CameraSettings:
    height: int = 4
    width: int = 5


@dataclass
class ArmSettings:
    port: str
    id: str = "one"
    cameras: dict[str, CameraSettings] = field(default_factory=dict)
    calibrated: bool = True

    def __post_init__(self) -> None:
        if not self.port.startswith("/dev/"):
            raise ValueError(f"no port {self.port}")


class Arm:
    """Motors are at once where they are told to be. `unplugged` makes every call fail."""

    name = "arm"
    config_class = ArmSettings

    def __init__(self, config: ArmSettings) -> None:
        self.config = config
        self.places = {f"{motor}.pos": 0.0 for motor in MOTORS}
        self.sent: list[dict[str, float]] = []
        self.unplugged = self._connected = False
        self.calibrates: list[bool] = []

    @property
    def observation_features(self) -> dict[str, Any]:
        shapes = {name: (c.height, c.width, 3) for name, c in self.config.cameras.items()}
        return {**self.action_features, **shapes}

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(self.places, float)

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return self.config.calibrated

    def connect(self, calibrate: bool = True) -> None:
        self._here()
        self.calibrates.append(calibrate)
        self._connected = True

    def calibrate(self) -> None: ...
    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        self._here()
        pictures = {
            name: np.full((c.height, c.width, 3), 7, np.uint8) for name, c in self.config.cameras.items()
        }
        return {**self.places, **pictures}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self._here()
        assert set(action) == set(self.action_features)
        self.sent.append(action)
        self.places.update(action)
        return action

    def disconnect(self) -> None:
        self._here()
        self._connected = False

    def _here(self) -> None:
        if self.unplugged:
            raise ConnectionError("no status packet")


class Leader:
    """An arm that a person moves."""

    def __init__(self, config: ArmSettings) -> None:
        self.config = config
        self.places = {"shoulder_pan.pos": 30.0, "elbow_flex.pos": -50.0, "gripper.pos": 100.0}
        self.is_connected = False
        self.is_calibrated = True

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(self.places, float)

    @property
    def feedback_features(self) -> dict[str, Any]:
        return {}

    def connect(self, calibrate: bool = True) -> None:
        self.is_connected = True

    def calibrate(self) -> None: ...
    def configure(self) -> None: ...
    def get_action(self) -> dict[str, Any]:
        return dict(self.places)

    def send_feedback(self, feedback: dict[str, Any]) -> None: ...
    def disconnect(self) -> None:
        self.is_connected = False
