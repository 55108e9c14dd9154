"""A person moves a robot: by keys, a gamepad, a leading arm; alone, or in a policy's place."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from tests.data.robot_driver import ARM, HAND, FakeDriver, floats

pytest.importorskip("metaworld")

from vla_data.errors import ConfigError
from vla_data.formats import open_episodes
from vla_data.robots.by_hand import Word, record_by_hand
from vla_data.robots.driver import RobotError
from vla_data.robots.motions import State
from vla_data.robots.operating import TRUSTED, Interruptible, OperatorMotion, TakenOver
from vla_data.robots.policy_motion import PolicyMotion
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.scene import StoppedByPersonError
from vla_data.robots.station import StationConfig
from vla_data.robots.teleoperation import EVENT, Gamepad, Keyboard, Leader, LeaderArm
from vla_data.types import ActionSpec, CameraInput, InputSpec, Observation, RobotSpec, StepResult

HERE = Observation(0.0, {}, floats(0.1, 0.4, 0.2))
LAST = floats(0, 0, 0, -1)


class Typist:
    def __init__(self) -> None:
        self.now, self.keys = 0.0, ""

    def typed(self) -> str:
        keys, self.keys = self.keys, ""
        return keys

    def clock(self) -> float:
        return self.now


def test_keys_move_the_hand_while_they_are_held():
    typist = Typist()
    keyboard = Keyboard(HAND, typist.typed, typist.clock)
    assert isinstance(keyboard, Leader)
    assert keyboard.action(HERE, LAST) is None
    typist.keys = "dr"
    np.testing.assert_allclose(keyboard.action(HERE, LAST), [0.6, 0, 0.6, -1], rtol=1e-6)  # type: ignore[arg-type]
    typist.now = 0.1
    assert keyboard.action(HERE, LAST) is not None
    typist.now = 0.2
    assert keyboard.action(HERE, LAST) is None
    typist.keys = "d"
    assert keyboard.action(HERE, floats(0, 0, 0, 1))[3] == 1, "what a policy holds is not dropped"  # type: ignore[index]
    typist.now = 0.4
    typist.keys = " "
    assert keyboard.action(HERE, LAST)[3] == 1, "the gripper closes"  # type: ignore[index]
    typist.keys = "a"
    np.testing.assert_allclose(keyboard.action(HERE, LAST), [-0.6, 0, 0, 1], rtol=1e-6)  # type: ignore[arg-type]
    assert "d dx+" in keyboard.help()


def test_keys_move_joints_of_an_arm_without_a_known_hand():
    typist = Typist()
    keyboard = Keyboard(ARM, typist.typed, typist.clock)
    typist.keys = "1w"
    action = keyboard.action(HERE, None)
    assert action is not None
    assert action[0] > 0.1
    assert action[1] < 0.4
    with pytest.raises(ConfigError, match="no key"):
        Keyboard(RobotSpec("nothing", ActionSpec((ARM.action.dims[2],), 20.0)), typist.typed)


def test_a_gamepad_moves_the_hand(tmp_path: Path):
    device = tmp_path / "js0"
    os.mkfifo(device)
    clock = Typist()
    pad = Gamepad(HAND, device, clock.clock)
    writing = os.open(device, os.O_WRONLY)
    assert isinstance(pad, Leader)
    assert pad.action(HERE, LAST) is None
    os.write(writing, EVENT.pack(0, 32767, 2, 0) + EVENT.pack(0, 16384, 2, 1) + EVENT.pack(0, 1, 1, 0))
    action = pad.action(HERE, LAST)
    np.testing.assert_allclose(action, [0.6, -0.3, 0, 1], atol=1e-3)  # type: ignore[arg-type]
    clock.now = 1.0
    os.write(writing, EVENT.pack(0, 900, 2, 0) + EVENT.pack(0, -900, 2, 1) + b"half")
    assert pad.action(HERE, LAST) is None, "a stick that is let go rests near its middle"
    os.write(writing, EVENT.pack(0, 1, 1, 0))
    np.testing.assert_allclose(pad.action(HERE, LAST), [0, 0, 0, -1], atol=1e-6)  # type: ignore[arg-type]
    os.close(writing)
    pad.close()
    with pytest.raises(RobotError):
        Gamepad(HAND, tmp_path / "none")
    with pytest.raises(ConfigError):
        Gamepad(ARM, device)


def test_an_arm_leads_another():
    leader = FakeDriver()
    leader.state[:] = (0.5, -9.0, 0.3)
    spec = RobotSpec("follower", ActionSpec(ARM.action.dims[:2], 20.0), ARM.state)
    arm = LeaderArm(spec, leader)
    np.testing.assert_allclose(arm.action(HERE, None), [0.5, -3.0])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cannot lead"):
        LeaderArm(HAND, leader)


# ------------------------------------------------------------------ in a policy's place


class Plan:
    """A policy's motion that remembers what it was told."""

    state: State = "moving"
    said, looks = "", True

    def __init__(self) -> None:
        self.forgotten = self.done = 0

    def next(self, seen: Observation, last: np.ndarray | None) -> np.ndarray | None:
        return floats(0.5, 0, 0, 0)

    def did(self, action: np.ndarray, result: StepResult) -> None:
        self.done += 1

    def forget(self) -> None:
        self.forgotten += 1

    def close(self) -> None: ...


def test_a_person_takes_over_and_lets_go():
    plan, operator = Plan(), OperatorMotion(HAND)
    motion = TakenOver(plan, operator)
    hands = floats(0, -1, 0, 1)

    def step() -> float:
        action = motion.next(HERE, None)
        assert action is not None
        motion.did(action, StepResult(0.0, False))
        return float(action[0])

    assert step() == 0.5
    assert not motion.by_hand
    assert motion.looks
    operator.want(hands)
    assert step() == 0.0
    assert step() == 0.0
    assert motion.by_hand
    assert not motion.looks
    assert plan.forgotten == 1
    time.sleep(TRUSTED + 0.02)
    assert step() == 0.5
    assert not motion.by_hand
    assert plan.done == 4
    motion.close()


def test_a_policy_that_was_interrupted_looks_anew():
    spec = InputSpec(ARM, (), 4)
    motion = PolicyMotion(spec, lambda: pytest.fail("not asked"), "go", lambda: 0.0, 10)
    assert isinstance(motion, Interruptible)
    motion.queue.add(np.ones((4, 3), np.float32), 0)
    motion.forget()
    assert not len(motion.queue)
    motion.close()


# ------------------------------------------------------------------ recorded


class Script:
    """A person who presses for so many steps after the first ones, and says a word at the end."""

    def __init__(self, *words: tuple[int, Word], press: range = range(0)) -> None:
        self.words, self.press, self.asked = list(words), press, 0

    def ready(self, instruction: str) -> bool:
        self.asked = 0
        return bool(self.words) or self.press != range(0)

    def word(self) -> Word | None:
        self.asked += 1
        if self.words and self.asked >= self.words[0][0]:
            return self.words.pop(0)[1]
        return None

    def action(self, seen: Observation, last: np.ndarray | None) -> np.ndarray | None:
        return floats(0, 0, 0.4, -1) if self.asked in self.press else None

    def close(self) -> None: ...


@pytest.fixture
def station(tmp_path: Path) -> StationConfig:
    cameras = (CameraInput("corner4", 16, 16),)
    return StationConfig(tasks=("reach",), cameras=cameras, out=tmp_path, split="train", successes_only=True)


def dataset(out: Path):
    return open_episodes(str(out / "episodes" / "sim_metaworld" / "1.0.0"))


def test_what_a_person_does_and_calls_a_success_trains_again(station: StationConfig, tmp_path: Path):
    script = Script((60, "discard"), (60, "success"), (5, "stop"), press=range(10, 50))
    with RobotProcess(station) as link:
        done = record_by_hand(link, script, script, ["reach"], 1, policy=False)
        assert (done.kept, done.discarded) == (1, 1)
        assert done.steps > 20
        with pytest.raises(StoppedByPersonError):
            record_by_hand(link, script, script, ["reach"], 1, policy=False)
    source = dataset(tmp_path)
    assert len(source) == 1
    episode = source[0]
    assert episode.series["intervention"].all()
    assert episode.metadata["success"]
    assert episode.state[-1, 2] > episode.state[0, 2] + 0.03


def test_where_a_person_took_over_is_marked(station: StationConfig, tmp_path: Path):
    script = Script(press=range(8, 20))
    with RobotProcess(station) as link:
        done = record_by_hand(link, script, script, ["reach"], 1, policy=True)
    assert done.kept == 1
    by_hand = dataset(tmp_path)[0].series["intervention"]
    assert 0 < by_hand.sum() < len(by_hand)
    assert not by_hand[[0, -1]].any(), "the expert begins and ends"


def test_a_robot_without_skills_is_driven_in_words(tmp_path: Path):
    class ByJoint(Script):
        def action(self, seen: Observation, last: np.ndarray | None) -> np.ndarray | None:
            return seen.state[:7] + floats(0.05, 0, 0, 0, 0, 0, 0) if self.asked in self.press else None

    script = ByJoint((30, "success"), press=range(5, 25))
    with RobotProcess(StationConfig("arm", out=tmp_path, successes_only=True)) as link:
        assert isinstance(link, RobotLink)
        record_by_hand(link, script, script, ["wave to the left"], 1, policy=False)
    source = open_episodes(str(tmp_path / "episodes" / "arm" / "1.0.0"))
    assert source[0].instruction == "wave to the left"
