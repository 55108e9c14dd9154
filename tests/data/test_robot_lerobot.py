"""An arm by LeRobot's Python interface: its numbers as radians, errors in its file, its cable pulled."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from tests.data.lerobot_arm import Arm, Leader
from tests.data.robot_driver import HAND, floats

pytest.importorskip("mujoco")

from vla_data.errors import ConfigError, MissingDependencyError, UnknownNameError
from vla_data.robots.by_file import driver_by_file, leading_arm
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.kernel import RefusedError, SafetyKernel
from vla_data.robots.lerobot_driver import LEADER, ROBOT, ROBOT_FEATURES, LeRobotDriver
from vla_data.robots.opening import open_robot
from vla_data.robots.robot_link import RobotProcess
from vla_data.robots.station import StationConfig
from vla_data.types import Observation

TEXT = """
name = "small-arm"
rate = 50

[device]
class = "tests.data.lerobot_arm:Arm"

[device.config]
class = "tests.data.lerobot_arm:ArmSettings"
port = "/dev/ttyACM0"

[device.config.cameras.front]
class = "tests.data.lerobot_arm:CameraSettings"

[[joints]]
name = "shoulder_pan"
low = -1.5
high = 1.5
velocity = 2.0

[[joints]]
name = "elbow_flex"
unit = "normalised"
range = [-1.0, 2.0]
low = -0.9
high = 1.9
velocity = 2.0

[gripper]
"""
HERE = Observation(0.0, {}, floats(0, 0, 0))


def file(folder: Path, *changes: tuple[str, str]) -> Path:
    """The arm's file, with texts in place of others."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "arm.toml"
    path.write_text(text)
    return path


@pytest.fixture
def driver(tmp_path: Path) -> LeRobotDriver:
    made = driver_by_file(f"lerobot:{file(tmp_path)}")
    assert isinstance(made, LeRobotDriver)
    assert isinstance(made, Driver)
    made.connect()
    return made


def arm_of(driver: LeRobotDriver) -> Arm:
    device = driver._device
    assert isinstance(device, Arm)
    return device


def test_its_numbers_are_radians_and_the_grippers_are_ours(driver: LeRobotDriver):
    arm = arm_of(driver)
    assert [d.name for d in driver.spec.state] == ["shoulder_pan", "elbow_flex", "gripper"]
    arm.places |= {"shoulder_pan.pos": 90.0, "elbow_flex.pos": -100.0, "gripper.pos": 100.0}
    np.testing.assert_allclose(driver.read().state, [math.pi / 2, -1.0, -1.0], rtol=1e-6)
    arm.places |= {"elbow_flex.pos": 100.0, "gripper.pos": 0.0}
    np.testing.assert_allclose(driver.read().state, [math.pi / 2, 2.0, 1.0], rtol=1e-6)
    driver.send(floats(-0.5, 0.5, 0.0))
    assert arm.sent[-1] == pytest.approx(
        {"shoulder_pan.pos": -0.5 * 180 / math.pi, "elbow_flex.pos": 0.0, "gripper.pos": 50.0}, abs=1e-5
    )
    np.testing.assert_allclose(driver.read().state, [-0.5, 0.5, 0.0], atol=1e-6)


def test_it_sees_and_is_as_old_as_the_question(driver: LeRobotDriver):
    (camera,) = driver.cameras
    assert (camera.name, camera.height, camera.width) == ("front", 4, 5)
    before = time.monotonic()
    seen = driver.read()
    assert before <= seen.time <= time.monotonic()
    assert seen.images["front"].shape == (4, 5, 3)
    assert driver.read(images=False).images == {}


def test_nobody_calibrates_it_in_passing(driver: LeRobotDriver, tmp_path: Path):
    assert arm_of(driver).calibrates == [False]
    path = file(tmp_path, ("port =", "calibrated = false\nport ="))
    other = driver_by_file(f"lerobot:{path}")
    with pytest.raises(RobotError, match="not calibrated") as error:
        other.connect()
    assert "lerobot-calibrate" in str(error.value.next_step)


def test_it_holds_what_it_was_told_and_nothing_before(driver: LeRobotDriver):
    arm = arm_of(driver)
    driver.hold()
    assert arm.sent == []
    driver.send(floats(0.1, 0.2, 1.0))
    driver.hold()
    assert arm.sent[0] == arm.sent[1]


def test_a_pulled_cable_is_held_and_said(driver: LeRobotDriver):
    kernel = SafetyKernel(driver)
    kernel.connect()
    lease = kernel.acquire("me")
    seen = kernel.observe()
    kernel.command(lease.key, seen.state, seen.time)
    arm_of(driver).unplugged = True
    with pytest.raises(RobotError, match="does not answer") as error:
        kernel.observe()
    assert "no status packet" in str(error.value)
    assert kernel.state().phase == "fault"
    with pytest.raises(RefusedError):
        kernel.command(lease.key, seen.state, seen.time)
    arm_of(driver).unplugged = False
    kernel.connect()
    assert kernel.state().phase == "idle"
    assert arm_of(driver).calibrates == [False, False], "the port is opened anew"
    kernel.close()
    assert not arm_of(driver).is_connected


def test_what_it_answers_is_checked(driver: LeRobotDriver):
    arm = arm_of(driver)
    arm.places["elbow_flex.pos"] = float("nan")
    with pytest.raises(RobotError, match="where its joints are"):
        driver.read()
    del arm.places["elbow_flex.pos"]
    with pytest.raises(RobotError, match="where its joints are"):
        driver.read()
    arm.places["elbow_flex.pos"] = 0.0
    arm.config.cameras["front"].height = 9
    with pytest.raises(RobotError, match="another kind"):
        driver.read()


def test_it_moves_in_a_process_of_its_own(tmp_path: Path):
    with (
        RobotProcess(StationConfig(f"lerobot:{file(tmp_path)}")) as link,
        link.hold("me", lambda: True) as lease,
    ):
        link.ask("reach", key=lease.key, target={"elbow_flex": 1.0})
        until = time.monotonic() + 5
        while link.ask("motion")["motion"]["state"] == "moving":
            assert time.monotonic() < until
            time.sleep(0.02)
        np.testing.assert_allclose(link.ask("state")["state"], [0.0, 1.0, 1.0], atol=0.01)


def test_an_evaluation_opens_it(tmp_path: Path):
    robot = open_robot(f"lerobot:{file(tmp_path)}", ["wave"], ())
    assert robot.scene is None, "a person judges"
    assert max(robot.kernel.limits.acceleration[:2]) < np.inf
    robot.kernel.close()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ((("rate =", "rtae ="),), UnknownNameError, "did you mean 'rate'"),
        ((('unit = "normalised"', 'unit = "normalized"'),), UnknownNameError, "did you mean 'normalised'"),
        ((("range = [-1.0, 2.0]\n", ""),), ConfigError, "elbow_flex"),
        ((("range = [-1.0, 2.0]", "range = [2.0, -1.0]"),), ConfigError, "elbow_flex"),
        ((('"shoulder_pan"', '"shoulder"'),), ConfigError, "shoulder_pan.pos"),
        ((('class = "tests.data.lerobot_arm:Arm"\n', ""),), ConfigError, "module:Class"),
        (((":Arm\"", ":Amr\""),), ConfigError, "no such class"),
        ((("tests.data.lerobot_arm:Arm", "lerobot_2.robots:Arm"),), MissingDependencyError, "pip install"),
        (((":Arm\"", ":ArmSettings\""), ("[device.config]", "[device.none]")), ConfigError, "take these"),
        ((("/dev/ttyACM0", "COM3"),), ConfigError, "no port COM3"),
        ((("port =", "prot ="),), ConfigError, "prot"),
        ((("[gripper]", "[gripper]\nopen = 0.0"),), ConfigError, "gripper"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], error: type[Exception], said: str
):
    with pytest.raises(error) as found:
        driver_by_file(f"lerobot:{file(tmp_path, *changes)}")
    assert said in str(found.value)


def test_what_has_not_the_interface_is_said(tmp_path: Path):
    path = file(tmp_path, ('"tests.data.lerobot_arm:Arm"', '"types:SimpleNamespace"'))
    with pytest.raises(ConfigError, match="interface of LeRobot"):
        driver_by_file(f"lerobot:{path}")


def test_an_arm_of_a_file_leads_another(tmp_path: Path, driver: LeRobotDriver):
    leads = file(tmp_path, ("lerobot_arm:Arm\"", "lerobot_arm:Leader\""))  # fmt: skip
    arm = leading_arm(driver.spec, f"lerobot:{leads}")
    action = arm.action(HERE, None)
    np.testing.assert_allclose(action, [math.pi / 6, -0.25, -1.0], rtol=1e-6)  # type: ignore[arg-type]
    follower = driver_by_file(f"lerobot:{leads}")
    with pytest.raises(RobotError, match="not commanded"):
        follower.send(floats(0, 0, 0))
    arm.close()
    with pytest.raises(ConfigError, match="cannot lead"):
        leading_arm(HAND, f"lerobot:{leads}")


def test_the_fakes_are_as_lerobots_own_classes_are():
    robots = pytest.importorskip("lerobot.robots", reason="LeRobot is not installed")
    teleoperators = pytest.importorskip("lerobot.teleoperators", reason="LeRobot is not installed")
    assert robots.Robot.__abstractmethods__ <= set(dir(Arm))
    assert {*ROBOT, *ROBOT_FEATURES} <= robots.Robot.__abstractmethods__
    known = set(dir(Leader)) | {"is_connected", "is_calibrated"}
    assert teleoperators.Teleoperator.__abstractmethods__ <= known
    assert set(LEADER) <= teleoperators.Teleoperator.__abstractmethods__
