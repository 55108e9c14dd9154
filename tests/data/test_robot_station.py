"""A station refuses what does not fit before anything moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.data.robot_driver import ARM, HAND

pytest.importorskip("mujoco")

from vla_data.errors import ConfigError, SpecMismatchError
from vla_data.robots.station import StationConfig, open_station
from vla_data.rollout_checks import require_match
from vla_data.types import Camera, CameraInput, InputSpec

FRONT = Camera("front", 32, 24)


def test_a_policy_of_this_robot_fits():
    require_match(ARM, (FRONT,), InputSpec(ARM, (CameraInput("front", 24, 32),), 4))
    require_match(ARM, (FRONT,), InputSpec(replace(ARM, name="another name"), (), 4))


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(HAND, (), 4),
        InputSpec(ARM, (CameraInput("wrist", 24, 32),), 4),
        InputSpec(ARM, (CameraInput("front", 32, 24),), 4),
        InputSpec(replace(ARM, state=ARM.state[:2]), (), 4),
        InputSpec(replace(ARM, action=replace(ARM.action, control_hz=30.0)), (), 4),
    ],
)
def test_a_policy_of_another_robot_does_not(spec: InputSpec):
    with pytest.raises(SpecMismatchError):
        require_match(ARM, (FRONT,), spec)


@pytest.mark.parametrize("robot", ["robby", "", "sim"])
def test_a_robot_that_is_unknown_is_said(robot: str):
    with pytest.raises(ConfigError, match="unknown"), open_station(StationConfig(robot)):
        pass


def test_an_arm_without_a_policy_has_no_skills():
    with open_station(StationConfig("arm")) as station:
        assert not station.skills
        with pytest.raises(ConfigError, match="nothing carries out skills"):
            station.motion("reach", "reach", None, 0, arrange=False)


def test_a_robot_without_a_simulator_is_judged_by_who_gave_the_task():
    with open_station(StationConfig("arm")) as station:
        assert station.judge == "agent"
    wrong = StationConfig("arm", judge="simulator")
    with pytest.raises(ConfigError, match="knows whether a task was done"), open_station(wrong):
        pass
