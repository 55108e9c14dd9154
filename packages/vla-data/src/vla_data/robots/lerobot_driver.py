"""An arm with LeRobot's Python interface as a driver.

The interface is that of `Robot` and `Teleoperator` in github.com/huggingface/lerobot. Nothing of LeRobot is
imported here: a class is asked for what that interface names.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, MissingDependencyError
from vla_data.robots.driver import RobotError
from vla_data.robots.lerobot_mapping import LeRobotMapping, read_lerobot
from vla_data.types import Camera, Image, Observation, RobotSpec

log = logging.getLogger(__name__)
CLASS = "class"
ROBOT = ("connect", "disconnect", "is_connected", "get_observation", "send_action")
ROBOT_FEATURES = ("observation_features", "action_features")
LEADER = ("connect", "disconnect", "is_connected", "get_action", "action_features")


class LeRobotDriver:
    """Joints, gripper and cameras of a `LeRobotMapping`; a `Driver`.

    Every reading asks the device for all it has, cameras too: its interface knows no less. An observation is
    as old as the moment at which the device was asked. To hold is to send the last command again, and nothing
    where there was none: what the device does without commands is its own.

    Args:
        robot: of the same file.
        device: with LeRobot's interface of a robot, or of a teleoperator that is read alone.
        clock: seconds.

    Raises:
        ConfigError: the device has no such interface, or none of the keys that the file names.
    """

    def __init__(
        self,
        mapping: LeRobotMapping,
        robot: RobotSpec,
        device: Any,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mapping, self.spec, self._device, self._clock = mapping, robot, device, clock
        self._leads = not hasattr(device, "get_observation")
        self._require(LEADER if self._leads else (*ROBOT, *ROBOT_FEATURES))
        self._keys, lines = mapping.keys(), np.array(mapping.lines())
        self._scale, self._offset = lines[:, 0], lines[:, 1]
        self._require_keys("action_features")
        if not self._leads:
            self._require_keys("observation_features")
        self.cameras: tuple[Camera, ...] = () if self._leads else _cameras(device.observation_features)
        self._target: dict[str, float] | None = None
        self._failed = False

    def clock(self) -> float:
        return self._clock()

    def connect(self) -> None:
        """Connect the device as it was calibrated; nobody is there to calibrate it.

        Raises:
            RobotError: it cannot be reached, or is not calibrated.
        """
        self._target = None
        if self._failed:
            self.close()  # what held the port of a cable that was pulled
        if self._device.is_connected:
            return
        self._asked(lambda: self._device.connect(calibrate=False))
        self._failed = False
        if not getattr(self._device, "is_calibrated", True):
            self.close()
            raise RobotError(
                "an arm is not calibrated",
                where=self.spec.name,
                next_step="calibrate it by its own tool (lerobot-calibrate), under the same id",
            )

    def read(self, *, images: bool = True) -> Observation:
        now = self._clock()
        device = self._device
        told = self._asked(device.get_action if self._leads else device.get_observation)
        state = self._numbers(told) * self._scale + self._offset
        seen = {c.name: self._picture(c, told) for c in self.cameras if images}
        return Observation(now, seen, state.astype(np.float32))

    def send(self, action: Float32[np.ndarray, "action_dim"]) -> None:
        if self._leads:
            raise RobotError("an arm that leads is not commanded", where=self.spec.name)
        own = (np.asarray(action, float) - self._offset) / self._scale
        self._target = {key: float(v) for key, v in zip(self._keys, own, strict=True)}
        self._send(self._target)

    def hold(self) -> None:
        if self._target is not None:
            self._send(self._target)

    def close(self) -> None:
        with suppress(Exception):  # a device that is gone cannot be told so
            if self._device.is_connected:
                self._device.disconnect()

    def _send(self, target: dict[str, float]) -> None:
        self._asked(lambda: self._device.send_action(dict(target)))

    def _asked(self, do: Callable[[], Any]) -> Any:
        """What a device answers; it raises what it likes."""
        try:
            return do()
        except Exception as error:
            self._failed = True
            raise RobotError(
                "an arm does not answer",
                where=self.spec.name,
                got=f"{type(error).__name__}: {error}",
                next_step="look after its cable and power, then connect() again",
            ) from error

    def _numbers(self, told: Mapping[str, Any]) -> np.ndarray:
        try:
            own = np.array([float(told[key]) for key in self._keys])
        except (KeyError, TypeError, ValueError) as error:
            own = np.array([np.nan])
            log.debug("an arm's answer: %s", error)
        if not np.isfinite(own).all():
            raise RobotError(
                "an arm does not tell where its joints are",
                where=self.spec.name,
                expected=f"finite numbers {', '.join(self._keys)}",
                got=", ".join(f"{key} {told.get(key)!r:.20}" for key in self._keys),
            )
        return own

    def _picture(self, camera: Camera, told: Mapping[str, Any]) -> Image:
        image = np.asarray(told.get(camera.name))
        if image.dtype != np.uint8 or image.shape != (camera.height, camera.width, 3):
            raise RobotError(
                "a camera's pictures are of another kind",
                where=f"{self.spec.name}: {camera.name}",
                expected=f"uint8 [{camera.height}, {camera.width}, 3]",
                got=f"{image.dtype} {list(image.shape)}",
            )
        return image

    def _require(self, names: tuple[str, ...]) -> None:
        kind = type(self._device)
        missing = [name for name in names if not hasattr(kind, name) and not hasattr(self._device, name)]
        if missing:
            raise ConfigError(
                "a class has not the interface of LeRobot's arms",
                where=f"device: {kind.__module__}:{kind.__qualname__}",
                expected=", ".join(names),
                got=f"no {', '.join(missing)}",
            )

    def _require_keys(self, features: str) -> None:
        known = getattr(self._device, features)
        missing = [key for key in self._keys if key not in known]
        if missing:
            raise ConfigError(
                "an arm has no such joint",
                where=f"{self.spec.name}: {features}",
                expected=f"some of {', '.join(known)}",
                got=", ".join(missing),
                next_step="name joints in the file as the arm does: NAME.pos is NAME",
            )


def lerobot_driver(path: Path) -> LeRobotDriver:
    """The arm of a file. Its class is imported: a file is as trusted as a program.

    Raises:
        ConfigError, UnknownNameError: of the file, or of the class that it names.
        MissingDependencyError: the class cannot be imported.
    """
    mapping, robot = read_lerobot(path)
    return LeRobotDriver(mapping, robot, built(mapping.device, f"device in {path}"))


def built(told: Mapping[str, Any], where: str) -> Any:
    """The object of a class that a table names, with the table's other values as arguments.

    Raises:
        ConfigError: it names no class, or the class does not take these arguments.
        MissingDependencyError: it cannot be imported.
    """
    kind = _imported(told.get(CLASS), where)
    values = {k: _value(v, f"{where}: {k}") for k, v in told.items() if k != CLASS}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "a class does not take these values", where=where, expected=str(told[CLASS]), got=str(error)
        ) from error


def _value(value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if CLASS in value:
        return built(value, where)
    return {k: _value(v, f"{where}.{k}") for k, v in value.items()}


def _imported(name: object, where: str) -> Any:
    module, _, kind = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not module or not kind.isidentifier():
        raise ConfigError(
            "a class is not named", where=where, expected='class = "module:Class"', got=repr(name)[:80]
        )
    try:
        return getattr(importlib.import_module(module), kind)
    except ImportError as error:
        root = module.partition(".")[0]
        raise MissingDependencyError(
            "a class cannot be imported", where=where, got=str(error), next_step=f"pip install {root}"
        ) from error
    except AttributeError as error:
        raise ConfigError("a module has no such class", where=where, got=str(name)) from error


def _cameras(features: Mapping[str, Any]) -> tuple[Camera, ...]:
    """Those that an arm brings: a feature that is height, width and 3 is a picture."""
    pictures = {name: f for name, f in features.items() if isinstance(f, tuple) and f[2:] == (3,)}
    return tuple(Camera(name, int(f[1]), int(f[0])) for name, f in pictures.items())
