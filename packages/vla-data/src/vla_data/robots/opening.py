"""Robots by name, ready to be commanded through the safety kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from vla_data.registry import lookup
from vla_data.robots.by_file import BY_FILE, driver_by_file
from vla_data.robots.kernel import SafetyKernel
from vla_data.robots.limits import ACCELERATION, limits_of
from vla_data.robots.scene import Scene, SimScene
from vla_data.robots.sim_driver import sim_driver
from vla_data.types import CameraInput


@dataclass(frozen=True, eq=False)
class OpenRobot:
    """A connected robot.

    Args:
        kernel: the one way to its motors.
        scene: arranges and judges by itself; None where a person has to.
        sleep: waits; None where time stands still between commands.
        max_steps: the cap of a task's trial; None where a person has to say.
    """

    kernel: SafetyKernel
    scene: Scene | None = None
    sleep: Callable[[float], None] | None = time.sleep
    max_steps: Callable[[str], int] | None = None


def open_robot(name: str, tasks: Sequence[str], cameras: Sequence[CameraInput]) -> OpenRobot:
    """A robot by name, or of a file ("ros2:FILE", "lerobot:FILE"), connected, looking through `cameras`.

    Args:
        tasks: what will be asked of it; a simulated robot has to know them.

    Raises:
        UnknownNameError: no such robot, task or camera.
        RobotError: it cannot be reached.
    """
    if name.partition(":")[0] in BY_FILE:
        driver = driver_by_file(name)
        robot = OpenRobot(SafetyKernel(driver, limits=limits_of(driver.spec, acceleration=ACCELERATION)))
    else:
        robot = lookup("robot", ROBOTS, name)(tasks, cameras)
    robot.kernel.connect()
    return robot


def _simulated(sim: str, tasks: Sequence[str], cameras: Sequence[CameraInput]) -> OpenRobot:
    driver = sim_driver(sim, tasks, [(c.name, c.height, c.width) for c in cameras])
    return OpenRobot(SafetyKernel(driver), SimScene(driver), None, driver.max_steps)


ROBOTS: dict[str, Callable[[Sequence[str], Sequence[CameraInput]], OpenRobot]] = {
    "sim-metaworld": partial(_simulated, "metaworld"),
    "sim-libero": partial(_simulated, "libero"),
}
