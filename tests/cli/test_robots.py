"""`vla eval robot`, `vla data record`: a person at a terminal, and a simulated robot that judges itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from tests.data.robot_driver import HAND
from tests.data.test_robot_sessions import Paced

from vla_data.robots import opening
from vla_data.robots.kernel import SafetyKernel
from vla_data.robots.opening import OpenRobot
from vla_data.sim import RandomPolicy


@pytest.fixture
def typed(monkeypatch):
    """What a person types, all of it at once."""

    def type_(*lines: str) -> None:
        reader, writer = os.pipe()
        os.write(writer, "".join(f"{line}\n" for line in lines).encode())
        os.close(writer)
        stream = os.fdopen(reader, "rb", buffering=0)
        monkeypatch.setattr(sys, "stdin", Lines(stream))

    return type_


class Lines:
    """Lines of a pipe, none read ahead: what is left is seen by `select`."""

    def __init__(self, stream) -> None:
        self.stream = stream

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self.stream.readline().decode()


@pytest.fixture
def toy(monkeypatch, tmp_path):
    driver = Paced(HAND, state=np.array([0, 0.5, 0.3], np.float32))

    def made(tasks: Sequence[str], cameras: Sequence[object]) -> OpenRobot:
        return OpenRobot(SafetyKernel(driver), None, driver.sleep)

    monkeypatch.setitem(opening.ROBOTS, "toy", made)
    monkeypatch.setattr(
        "vla_model.policies.registry.load_policy", lambda where: RandomPolicy(HAND, action_horizon=4)
    )
    return driver


def arguments(tmp_path, *more):
    policy = tmp_path / "policy"
    policy.mkdir(exist_ok=True)
    shown = ("--robot", "toy", "--checkpoint", policy, "--tasks", "wave,bow", "--set", "max_steps=5")
    return (*shown, *more)


def test_a_person_arranges_judges_stops_and_goes_on(vla, toy, typed, tmp_path, monkeypatch):
    monkeypatch.setattr("vla_cli.person.PersonScene.watch", lambda self, trial: still())
    command = ("eval", "robot", *arguments(tmp_path, "--episodes", 2, "--out", tmp_path / "out"))
    typed("", "y", "", "a", "", "what", "n", "q")
    ran = vla(*command)
    assert ran.code == 130
    assert "what was judged is kept" in ran.err
    assert ran.err.count("Arrange the scene") == 4
    typed("", "y", "", "y")
    ran = vla(*command, "--json")
    assert ran.code == 0
    assert ran.document["summary"]["policy"] == {"wave": "2/2", "bow": "1/2", "all": "3/4"}
    assert ran.err.count("Arrange the scene") == 2


def still():
    from vla_data.types import StepResult

    return StepResult(0.0, False)


def test_enter_ends_a_trial(vla, toy, typed, tmp_path):
    typed("", "", "y", "", "y")  # the second Enter is typed while the robot moves; so is the third answer
    ran = vla("eval", "robot", *arguments(tmp_path, "--episodes", 1, "--out", tmp_path / "out", "--json"))
    assert ran.code in (0, 130)
    first = (tmp_path / "out" / "trials" / "00000.json").read_text()
    assert '"steps": 1' in first


def test_nobody_at_the_terminal_is_a_stop(vla, toy, typed, tmp_path):
    typed()
    ran = vla("data", "record", *arguments(tmp_path, "--episodes", 1, "--out", tmp_path / "out"))
    assert ran.code == 130
    assert "run the same command again" in ran.err


def test_successes_are_recorded(vla, toy, typed, tmp_path, monkeypatch):
    monkeypatch.setattr("vla_cli.person.PersonScene.watch", lambda self, trial: still())
    typed("", "n", "", "y")
    ran = vla("data", "record", *arguments(tmp_path, "--episodes", 1, "--out", tmp_path / "out", "--json"))
    assert ran.code == 0
    assert ran.document["summary"]["episodes"] == 1
    looked = vla("data", "inspect", ran.document["summary"]["directory"], "--json")
    assert looked.code == 0


def test_tasks_come_from_a_file_with_their_groups(vla, toy, typed, tmp_path, monkeypatch):
    monkeypatch.setattr("vla_cli.person.PersonScene.watch", lambda self, trial: still())
    (tmp_path / "tasks.toml").write_text(
        '[[tasks]]\nname = "wave"\n[[tasks]]\nname = "bow"\ninstruction = "bow low"\ngroup = "novel"\n'
    )
    (tmp_path / "policy").mkdir()
    typed("", "y", "", "n")
    ran = vla(
        "eval", "robot", "--robot", "toy", "--checkpoint", tmp_path / "policy", "--episodes", 1,
        "--task-file", tmp_path / "tasks.toml", "--set", "max_steps=3", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    rates = ran.document["summary"]["policy"]
    assert rates == {"wave": "1/1", "bow": "0/1", "in-distribution": "1/1", "novel": "0/1", "all": "1/2"}
    assert "bow low" in ran.err


def test_who_drives_has_to_be_said(vla, tmp_path):
    for more in ((), ("--policy", "expert"), ("--checkpoint", tmp_path, "--policy", "ws://127.0.0.1:9")):
        ran = vla("eval", "robot", *more, "--tasks", "reach", "--out", tmp_path / "out")
        assert ran.code == 2
        assert "say who drives" in ran.err
    ran = vla("eval", "robot", "--robot", "toyy", "--checkpoint", tmp_path / "absent", "--out", tmp_path)
    assert ran.code == 3


def test_assets_of_libero_are_set_up(vla, tmp_path, monkeypatch):
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "cache"))
    ran = vla("sim", "setup", "libero", "--assets", tmp_path)
    assert (ran.code, "not LIBERO's folder" in ran.err) == (3, True)
    for name in ("articulated_objects", "scenes", "stable_hope_objects", "stable_scanned_objects"):
        (tmp_path / name).mkdir()
    for name in ("textures", "turbosquid_objects"):
        (tmp_path / name).mkdir()
    ran = vla("sim", "setup", "libero", "--assets", tmp_path, "--json")
    assert ran.document["assets"] == str(tmp_path)


def test_two_drivers_are_told_apart(vla, tmp_path):
    ran = vla(
        "eval", "duel", "expert", "random", "--tasks", "reach", "--episodes", 20, "--workers", 1,
        "--set", "max_steps=80", "--out", tmp_path / "duel", "--json",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.document["summary"]["better"] == "first"
    ran = vla("eval", "duel", "expert", tmp_path / "absent", "--tasks", "reach", "--out", tmp_path / "other")
    assert (ran.code, "no checkpoint here" in ran.err) == (3, True)
