"""A joint-level arm in continuous time: it follows, holds, keeps its limits, and catches up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from vla_data.errors import DataError
from vla_data.robots.arm_driver import ArmDriver
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.kernel import SafetyKernel
from vla_data.robots.limits import limits_of
from vla_data.sim.joint_arm import PANDA_HOME, JointArm

URDF = """<robot name="two">
  <link name="base"/>
  <link name="upper"><inertial><origin xyz="0 0 0.2"/><mass value="1.5"/>
    <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="fore"><inertial><origin xyz="0 0 0.15"/><mass value="0.8"/>
    <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-1.2" upper="1.2" effort="50" velocity="2"/></joint>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="fore"/><origin xyz="0 0 0.4"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="50" velocity="2"/></joint>
</robot>"""


class Clock:
    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.urdf"
    path.write_text(URDF)
    return str(path)


def test_an_arm_holds_itself_up(clock: Clock):
    arm = JointArm("panda", clock, 0.02)
    for _ in range(20):
        clock.now += 0.5
        arm.catch_up()
    np.testing.assert_allclose(arm.angles, PANDA_HOME, atol=2e-4)
    np.testing.assert_allclose(arm.speeds, 0, atol=2e-3)


def test_an_arm_follows_as_a_critically_damped_one_does(two: str, clock: Clock):
    """A step of the target: e(t) = (1 + ωt)·exp(−ωt), ω = 30 rad/s."""
    arm = JointArm(two, clock, 0.02, home=(0.0, 0.0))
    arm._from = arm._to = np.array([0.3, -0.2])
    for _ in range(10):
        clock.now += 0.02
        arm.catch_up()
        passed = arm._now - 10.0
        left = (1 + 30 * passed) * np.exp(-30 * passed)
        np.testing.assert_allclose(arm.angles, np.array([0.3, -0.2]) * (1 - left), atol=0.012)


def test_it_does_not_matter_how_often_one_looks(two: str):
    ends = []
    for looks in (1, 7, 50):
        clock = Clock()
        arm = JointArm(two, clock, 0.02, home=(0.0, 0.0))
        arm.go_to(np.array([0.5, 0.5]))
        for i in range(looks):
            clock.now = 10.0 + 0.1 * (i + 1) / looks
            arm.catch_up()
        ends.append(arm.angles)
    np.testing.assert_allclose(ends[1], ends[0], atol=2e-3)
    np.testing.assert_allclose(ends[2], ends[0], atol=2e-3)


def test_an_arm_that_nobody_asked_for_an_hour_is_read_at_once(two: str, clock: Clock):
    arm = JointArm(two, clock, 0.02, home=(0.0, 0.0))
    arm.go_to(np.array([0.5, 0.5]))
    clock.now += 3600.0
    arm.catch_up()
    np.testing.assert_allclose(arm.angles, 0.5, atol=1e-3)


def test_a_hand_on_the_stop_keeps_an_arm_where_it_is(two: str, clock: Clock):
    arm = JointArm(two, clock, 0.5, home=(0.0, 0.0))
    arm.go_to(np.array([1.0, 1.0]))
    clock.now += 0.2
    arm.hold()
    held = arm._to.copy()
    clock.now += 1.0
    arm.catch_up()
    np.testing.assert_allclose(arm.angles, held, atol=2e-3)
    assert held == pytest.approx(0.4, abs=0.01)


def test_joints_and_limits_are_those_of_the_file(two: str, clock: Clock):
    joints = {j.name: (j.low, j.high) for j in JointArm(two, clock, 0.02).joints}
    assert joints == {"shoulder": (-1.2, 1.2), "elbow": (-2.0, 2.0)}


@pytest.mark.parametrize(
    "text", ["", "<robot name='x'><link name='a'/></robot>", "<mujoco><nonsense/></mujoco>"]
)
def test_what_is_no_arm_is_refused(tmp_path: Path, text: str, clock: Clock):
    path = tmp_path / "arm.xml"
    path.write_text(text)
    with pytest.raises(DataError):
        JointArm(str(path), clock, 0.02)


def test_through_the_kernel_an_arm_never_leaves_its_limits(two: str, clock: Clock):
    driver = ArmDriver(two, 50.0, clock)
    assert isinstance(driver, Driver)
    with pytest.raises(RobotError):
        driver.read()
    kernel = SafetyKernel(driver, limits=limits_of(driver.spec, acceleration=8.0))
    kernel.connect()
    key, rng = kernel.acquire("somebody").key, np.random.default_rng(0)
    for _ in range(400):
        clock.now += 0.02
        seen = kernel.observe(images=False)
        low, high = driver.spec.action.low, driver.spec.action.high
        assert (seen.state[:2] >= low - 0.01).all()
        assert (seen.state[:2] <= high + 0.01).all()
        assert (np.abs(seen.state[2:4]) < 2.6).all(), "speed 2 rad/s, and what a follower overshoots"
        kernel.renew(key)
        kernel.command(key, rng.choice([-9.0, 9.0], 2).astype(np.float32), seen.time)
    kernel.close()
