"""A robot of ROS 2 in another process, moved through the control loop and the safety kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.data.ros2_nodes import MAPPING, mapping, own_domain, robot_node, waiting, with_ros

pytest.importorskip("mujoco")
pytest.importorskip("PIL")

import vla_data.robots.ros2_driver as ros2_driver
import vla_data.robots.ros2_node as ros2_node
from vla_data.errors import ConfigError, MissingDependencyError, UnknownNameError
from vla_data.robots.by_file import data_set_name, driver_by_file
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.kernel import RefusedError, SafetyKernel
from vla_data.robots.opening import open_robot
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.ros2_mapping import Ros2Camera, read_ros2
from vla_data.robots.ros2_pictures import picture
from vla_data.robots.station import StationConfig


@pytest.fixture(scope="module", autouse=True)
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with own_domain(tmp_path_factory.mktemp("ros")):
        yield


@pytest.fixture(scope="module")
def node() -> Iterator[subprocess.Popen[str]]:
    with robot_node("/arm") as node:
        yield node


@pytest.fixture(scope="module")
def link(node: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RobotLink]:
    path = mapping(tmp_path_factory.mktemp("file"), "/arm")
    with RobotProcess(StationConfig(f"ros2:{path}")) as link:
        yield link


def moved(link: RobotLink, key: str, do: str, **told: Any) -> dict[str, Any]:
    """What became of a motion."""
    link.ask(do, key=key, **told)
    until = time.monotonic() + 5
    while (report := link.ask("motion")["motion"])["state"] in ("moving", "waiting"):
        assert time.monotonic() < until
        time.sleep(0.02)
    return report


@with_ros
def test_it_goes_to_a_place_and_grips(link: RobotLink):
    assert [d.name for d in link.spec.action.dims] == ["shoulder", "elbow", "gripper"]
    np.testing.assert_allclose(link.ask("state")["state"], [0.1, -0.2, -1.0], atol=1e-3)
    with link.hold("me", lambda: True) as lease:
        assert moved(link, lease.key, "reach", target={"shoulder": 0.5})["state"] == "succeeded"
        np.testing.assert_allclose(link.ask("state")["state"], [0.5, -0.2, -1.0], atol=0.01)
        assert moved(link, lease.key, "grip", close=True)["state"] == "succeeded"
    np.testing.assert_allclose(link.ask("state")["state"], [0.5, -0.2, 1.0], atol=0.05)
    seen = link.observe()
    assert seen.images["front"].shape == (6, 8, 3)
    assert seen.images["front"][0, 0].tolist() == [200, 0, 0], "bgr8 became RGB"
    assert abs(time.monotonic() - seen.time) < 0.2


@with_ros
def test_a_stop_holds_and_stays(link: RobotLink):
    with link.hold("me", lambda: True) as lease:
        link.ask("reach", key=lease.key, target={"shoulder": -0.9})
        time.sleep(0.25)
        link.ask("stop", reason="enough")
    with pytest.raises(RefusedError) as error:
        link.ask("acquire", owner="me")
    assert error.value.reason == "stopped"
    time.sleep(0.1)
    before = link.ask("state")["state"]
    time.sleep(0.2)
    np.testing.assert_allclose(link.ask("state")["state"], before, atol=1e-4)
    link.ask("reset_stop")


@with_ros
def test_a_frozen_robot_is_refused_then_gone_and_comes_back(node: subprocess.Popen[str], link: RobotLink):
    with link.hold("me", lambda: True) as lease:
        os.kill(node.pid, signal.SIGSTOP)
        try:
            time.sleep(0.6)
            told = link.ask("state")
            with pytest.raises(RefusedError) as stale:
                link.ask("command", key=lease.key, action=told["state"], observed_at=told["time"])
            assert stale.value.reason == "stale"
            time.sleep(1.2)
            with pytest.raises(RobotError, match="do not arrive") as gone:
                link.ask("state")
            assert gone.value.where == "/arm/joint_states"
            assert gone.value.next_step
            assert link.ask("motion")["kernel"]["phase"] == "fault"
        finally:
            os.kill(node.pid, signal.SIGCONT)
    link.ask("connect")
    with link.hold("me", lambda: True) as lease:
        assert moved(link, lease.key, "reach", target={"elbow": -0.4})["state"] == "succeeded"


@with_ros
def test_a_robot_that_is_unplugged_is_held_once_and_said(tmp_path: Path):
    with robot_node("/other") as node:
        driver = driver_by_file(f"ros2:{mapping(tmp_path, '/other')}")
        assert isinstance(driver, Driver)
        kernel = SafetyKernel(driver)
        kernel.connect()
        lease = kernel.acquire("me")
        seen = kernel.observe()
        kernel.command(lease.key, seen.state, seen.time)
        node.kill()
        node.wait()
        time.sleep(1.7)
        with pytest.raises(RobotError, match="do not arrive"):
            kernel.observe()
        assert kernel.state().phase == "fault"
        with pytest.raises(RefusedError):
            kernel.command(lease.key, seen.state, seen.time)
        kernel.close()
        with pytest.raises(RobotError, match="not connected"):
            driver.read()


@with_ros
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"elbow"', '"elbow_pitch"'), "elbow_pitch"),
        (("/arm/image", "/arm/picture"), "/arm/picture"),
        (('[command]\ntopic = "/arm/arm"', '[command]\ntopic = "/arm/leg"'), "/arm/leg"),
    ],
)
def test_who_is_missing_is_named(
    node: subprocess.Popen[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    said: str,
):
    driver = ros2_driver.ros2_driver(mapping(tmp_path, "/arm", change))
    driver._open()
    waiting(lambda: said in str(driver._missing(0.0)), 20.0)  # as nodes find each other
    monkeypatch.setattr(ros2_driver, "START_SECONDS", 0.3)
    with pytest.raises(RobotError) as error:
        driver.connect()
    assert error.value.next_step
    driver.close()


def test_without_ros_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def absent() -> None:
        raise ImportError("No module named 'rclpy'")

    monkeypatch.setattr(ros2_node, "_load_libraries", absent)
    with pytest.raises(MissingDependencyError, match=r"vla-data\[ros2\]"):
        driver_by_file(f"ros2:{mapping(tmp_path, '/none')}").connect()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("rate =", "rtae ="), UnknownNameError, "did you mean 'rate'"),
        (("velocity = 1.5", "speed = 1.5"), UnknownNameError, "joints"),
        (("[command]", '[command]\ntype = "std_msgs/Float32MultiArray"'), UnknownNameError, "Float64Multi"),
        (("velocity = 1.5", ""), ConfigError, "urdf = "),
        (("low = -1.0", "low = 3.0"), ConfigError, "shoulder"),
        (('"elbow"', '"shoulder"'), ConfigError, "named once"),
        (("open = 0.04", "open = 0.0"), ConfigError, "gripper"),
        (("rate = 50", "rate = 0"), ConfigError, "rate"),
        (("silence = 1.6", "domain = 500"), ConfigError, "domain"),
        (("[command]", "[orders]"), UnknownNameError, "orders"),
        (("silence = 1.6", 'urdf = "absent.urdf"'), ConfigError, "absent.urdf"),
        (("name =", "name"), ConfigError, "TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path, change: tuple[str, str], error: type[ConfigError], said: str
):
    path = mapping(tmp_path, "/arm", change)
    with pytest.raises(error) as found:
        read_ros2(path)
    assert said in str(found.value)
    assert str(path) in str(found.value)


def test_limits_come_from_a_urdf(tmp_path: Path):
    limit = '<limit lower="-0.5" upper="1.5" velocity="0.7" effort="1"/>'
    urdf = f'<robot name="r"><joint name="shoulder" type="revolute">{limit}</joint></robot>'
    (tmp_path / "arm.urdf").write_text(urdf)
    text = MAPPING.format(topics="/arm").replace("silence = 1.6", 'urdf = "arm.urdf"')
    first, rest = text.partition('[[joints]]\nname = "elbow"')[::2]
    path = tmp_path / "robot.toml"
    path.write_text(
        first.replace("low = -1.0\nhigh = 2.0\nvelocity = 1.5\n", "high = 1.0\n")
        + rest[rest.index("[gripper]") :]
    )
    _, robot = read_ros2(path)
    (joint,) = robot.joints
    assert (joint.low, joint.high, joint.velocity) == (-0.5, 1.0, 0.7)
    path.write_text(text)
    with pytest.raises(UnknownNameError, match="elbow"):
        read_ros2(path)


@pytest.mark.parametrize(
    ("encoding", "pixel", "rgb"),
    [
        ("rgb8", [1, 2, 3], [1, 2, 3]),
        ("bgr8", [1, 2, 3], [3, 2, 1]),
        ("rgba8", [1, 2, 3, 9], [1, 2, 3]),
        ("bgra8", [1, 2, 3, 9], [3, 2, 1]),
        ("mono8", [7], [7, 7, 7]),
    ],
)
def test_pictures_become_rgb(encoding: str, pixel: list[int], rgb: list[int]):
    rows = b"".join(bytes(pixel * 3) + b"\xff\xff" for _ in range(2))  # rows end in padding
    told = SimpleNamespace(encoding=encoding, height=2, width=3, step=3 * len(pixel) + 2, data=rows)
    image = picture(Ros2Camera("front", "/image", 2, 3), told)
    assert image.tolist() == [[rgb] * 3] * 2
    small = picture(Ros2Camera("front", "/image", 1, 1, resize=True), told)
    assert small.tolist() == [[rgb]]
    with pytest.raises(RobotError, match="another size"):
        picture(Ros2Camera("front", "/image", 4, 3), told)
    for wrong in ({"encoding": "32FC1"}, {"data": rows[:-1]}, {"step": 1}, {"height": 0, "data": b""}):
        with pytest.raises(RobotError, match="cannot be read"):
            picture(Ros2Camera("front", "/image", 2, 3), SimpleNamespace(**{**vars(told), **wrong}))


def test_compressed_pictures_are_decoded():
    from vla_data.images import encode

    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    camera = Ros2Camera("front", "/image", 2, 3, "sensor_msgs/CompressedImage")
    told = SimpleNamespace(format="png", data=encode(image, "png"))
    np.testing.assert_array_equal(picture(camera, told), image)
    with pytest.raises(RobotError, match="cannot be read"):
        picture(camera, SimpleNamespace(format="png", data=b"none"))


def test_a_kind_of_robot_that_is_none_is_said(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="ros2"):
        driver_by_file("ros3:robot.toml")
    with pytest.raises(ConfigError, match="no file"):
        open_robot("ros2:", ["wave"], ())
    assert data_set_name("ros2:some/where/my-arm.toml") == "my_arm_toml"
    assert data_set_name("sim-metaworld") == "sim_metaworld"
