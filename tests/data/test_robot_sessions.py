"""Trials on a robot: the simulator's own outcomes through the kernel, at the robot's pace, none lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.data.robot_driver import HAND, HZ, FakeDriver

from vla_data import open_episodes
from vla_data.errors import ConfigError, UnknownNameError
from vla_data.protocols import SimEnv
from vla_data.robots import opening
from vla_data.robots.kernel import KernelConfig, RefusedError, SafetyKernel
from vla_data.robots.opening import OpenRobot, open_robot
from vla_data.robots.robot_env import RobotEnv
from vla_data.robots.scene import Scene, SimScene, StoppedByPersonError, Verdict
from vla_data.robots.sessions import RobotConfig, RobotTask, read_tasks, record, run_on_robot
from vla_data.robots.sim_driver import SimDriver
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import RandomPolicy, SimConfig
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.types import InputSpec, Observation, ObservationWindow, StepResult, Trial

TRIALS = [Trial("reach", 3, "reach"), Trial("button-press-topdown", 5, "press")]
TASKS = tuple(t.task for t in TRIALS)
SHORT = RolloutConfig(max_steps=30)


@pytest.fixture(scope="module")
def sim() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(TASKS, SimConfig(cameras=()), num_envs=1)
    yield env
    env.close()


@pytest.fixture
def robot(sim: MetaWorldEnv) -> OpenRobot:
    driver = SimDriver(sim)
    kernel = SafetyKernel(driver)
    kernel.connect()
    return OpenRobot(kernel, SimScene(driver), None, driver.max_steps)


def test_a_simulated_robot_does_what_the_simulator_does(sim: MetaWorldEnv, robot: OpenRobot):
    assert isinstance(robot.scene, Scene)
    env = RobotEnv(robot.kernel, robot.scene, TASKS, 30, robot.sleep)
    assert isinstance(env, SimEnv)
    ways = []
    for one in (sim, env):
        found = list(rollout(one, RandomPolicy(sim.robot), TRIALS, RolloutConfig(max_steps=30, record=True)))
        ways.append([(r.steps, r.success, r.reward, r.episode.state if r.episode else None) for r in found])
    for (*plain, states), (*through, states_too) in zip(*ways, strict=True):
        assert plain[:2] == through[:2]
        np.testing.assert_array_equal(states, states_too)
    assert robot.kernel.state().sent == 61  # and one to come to rest between the trials
    assert robot.kernel.state().refused == 0


class Paced(FakeDriver):
    """Its clock goes on while somebody sleeps or thinks."""

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.time += seconds


class Slow:
    """Thinks for a while, on the robot's clock."""

    def __init__(self, driver: Paced, seconds: float) -> None:
        self.driver, self.seconds = driver, seconds
        self.input_spec = InputSpec(HAND, (), action_horizon=4)
        self.inner = RandomPolicy(HAND, action_horizon=4)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        self.inner.reset(slots, seeds)

    def infer(self, windows: Sequence[ObservationWindow]):
        self.driver.time += self.seconds
        return self.inner.infer(windows)


class Table:
    """A scene that counts, and ends a trial when it is told to."""

    def __init__(self, verdicts: Sequence[str] = (), end_at: int = 10**9) -> None:
        self.verdicts, self.end_at = list(verdicts), end_at
        self.arranged: list[Trial] = []
        self.watched = 0

    def arrange(self, trial: Trial) -> None:
        self.arranged.append(trial)

    def watch(self, trial: Trial) -> StepResult:
        self.watched += 1
        return StepResult(0.0, False, ended=self.watched % self.end_at == 0)

    def judge(self, trial: Trial) -> Verdict:
        said = self.verdicts.pop(0)
        if said == "stop":
            raise StoppedByPersonError
        return said  # type: ignore[return-value]


def test_commands_go_out_at_the_control_rate_and_a_slow_policy_is_waited_for():
    driver = Paced(HAND, state=np.array([0, 0.5, 0.3], np.float32))
    kernel = SafetyKernel(driver)
    kernel.connect()
    env = RobotEnv(kernel, Table(), ("wave",), 12, driver.sleep)
    policy = Slow(driver, 0.3)  # longer than the kernel trusts in silence
    (done,) = rollout(env, policy, [Trial("wave", 0, "wave")], RolloutConfig(execute=4))
    assert done.steps == 12
    times = np.array([t for t, _ in driver.sent])
    gaps = np.diff(times)
    quick = gaps < 0.2
    assert quick.sum() == 9  # within chunks of four
    np.testing.assert_allclose(gaps[quick], 1 / HZ, atol=1e-6)
    env.close()
    for _ in range(3):
        driver.time += 0.05
        kernel.tick()
    assert kernel.state().phase == "idle"
    assert kernel.state().owner is None


def test_a_stop_ends_the_trial(robot: OpenRobot):
    driver = Paced(HAND, state=np.array([0, 0.5, 0.3], np.float32))
    kernel = SafetyKernel(driver)
    kernel.connect()

    class Pressed(Table):
        def watch(self, trial: Trial) -> StepResult:
            if self.watched == 5:
                kernel.stop("a person pressed the button")
            return super().watch(trial)

    env = RobotEnv(kernel, Pressed(), ("wave",), 50, driver.sleep)
    with pytest.raises(RefusedError, match="stopped"):
        list(rollout(env, Slow(driver, 0.0), [Trial("wave", 0, "")], RolloutConfig(execute=4)))
    assert len(driver.sent) == 6


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Paced:
    """A robot called `toy` that nobody but a person judges."""
    driver = Paced(HAND, state=np.array([0, 0.5, 0.3], np.float32))

    def made(tasks: Sequence[str], cameras: Sequence[object]) -> OpenRobot:
        kernel = SafetyKernel(driver, KernelConfig())
        return OpenRobot(kernel, None, driver.sleep)

    monkeypatch.setitem(opening.ROBOTS, "toy", made)
    return driver


CONFIG = RobotConfig("toy", (RobotTask("wave", "wave your hand"), RobotTask("bow", group="novel")), 2, 4, 6)


def test_a_session_goes_on_where_it_stopped(toy: Paced, tmp_path: Path):
    policy = Slow(toy, 0.0)
    first = Table(["success", "again", "failure", "stop"])
    with pytest.raises(StoppedByPersonError):
        run_on_robot(policy, CONFIG, tmp_path, "eval", first)
    assert [t.task for t in first.arranged] == ["wave", "bow", "bow", "wave"]
    assert [t.instruction for t in first.arranged[:2]] == ["wave your hand", "bow"]
    assert not (tmp_path / "episodes").exists()
    second = Table(["success", "success"])
    judged = run_on_robot(policy, CONFIG, tmp_path, "eval", second)
    assert [t.task for t in second.arranged] == ["wave", "bow"]
    assert [(j.task, j.index, j.success) for j in judged] == [
        ("wave", 0, True), ("bow", 0, False), ("wave", 1, True), ("bow", 1, True),
    ]  # fmt: skip
    source = open_episodes(tmp_path / "episodes" / "toy" / "1.0.0")
    assert [source[i].metadata["success"] for i in range(4)] == [True, False, True, True]
    assert [source[i].instruction for i in range(2)] == ["wave your hand", "bow"]
    assert len(source[0]) == 6
    assert run_on_robot(policy, CONFIG, tmp_path, "eval", Table()) == judged  # nothing is left to do


def test_successes_become_a_data_set(toy: Paced, tmp_path: Path):
    made = record(Slow(toy, 0.0), CONFIG, tmp_path, Table(["failure", "success", "failure", "success"]))
    assert (made["trials"], made["episodes"], made["steps"]) == (4, 2, 12)
    source = open_episodes(Path(made["directory"]))
    assert [source[i].instruction for i in range(len(source))] == ["bow", "bow"]
    none = record(Slow(toy, 0.0), CONFIG, tmp_path / "none", Table(["failure"] * 4))
    assert (none["episodes"], none["directory"]) == (0, "")


def test_a_trial_that_a_person_ends_is_as_short(toy: Paced, tmp_path: Path):
    judged = run_on_robot(Slow(toy, 0.0), CONFIG, tmp_path, "eval", Table(["success"] * 4, end_at=3))
    assert [j.steps for j in judged] == [3] * 4


def test_an_unplugged_robot_loses_the_trial_under_way_alone(toy: Paced, tmp_path: Path):
    class Tripped(Table):
        def watch(self, trial: Trial) -> StepResult:
            toy.gone = len(self.arranged) == 3
            return super().watch(trial)

    policy = Slow(toy, 0.0)
    with pytest.raises(Exception, match="unplugged"):
        run_on_robot(policy, CONFIG, tmp_path, "eval", Tripped(["success"] * 4))
    assert len(list((tmp_path / "trials").iterdir())) == 2
    toy.gone = False
    again = Table(["failure"] * 2)
    judged = run_on_robot(policy, CONFIG, tmp_path, "eval", again)
    assert [j.success for j in judged] == [True, True, False, False]


def test_what_cannot_be_tried_is_named(toy: Paced, tmp_path: Path):
    policy = Slow(toy, 0.0)
    with pytest.raises(UnknownNameError):
        open_robot("tooy", ["wave"], ())
    with pytest.raises(ConfigError, match="nobody judges"):
        run_on_robot(policy, CONFIG, tmp_path, "eval")
    endless = RobotConfig("toy", CONFIG.tasks, 2)
    with pytest.raises(ConfigError, match="how long"):
        run_on_robot(policy, endless, tmp_path, "eval", Table())
    with pytest.raises(ConfigError):
        RobotConfig("toy", (RobotTask("wave"), RobotTask("wave")))
    run_on_robot(policy, CONFIG, tmp_path, "eval", Table(["success"] * 4))
    other = RobotConfig("toy", (RobotTask("wave", "another"), RobotTask("bow")), 2, 4, 6)
    with pytest.raises(ConfigError, match="holds other trials"):
        run_on_robot(policy, other, tmp_path, "eval", Table())


def test_lists_of_tasks_are_read(tmp_path: Path):
    path = tmp_path / "tasks.toml"
    path.write_text('[[tasks]]\nname = "cup"\ninstruction = "lift the cup"\ngroup = "novel"\n')
    assert read_tasks(path) == (RobotTask("cup", "lift the cup", "novel"),)
    for wrong in ("[[tasks]]\nname = 1\n", "[[tasks]]\n", "tasks = ", '[[tasks]]\nname="a"\ngroup="new"\n'):
        path.write_text(wrong)
        with pytest.raises((ConfigError, UnknownNameError), match=r"tasks|key"):
            read_tasks(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tasks(tmp_path / "absent")


def test_nothing_but_the_robots_room_holds_a_driver():
    root = Path(str(opening.__file__)).parents[2]
    users = {
        p.relative_to(root)
        for p in root.parents[2].rglob("packages/*/src/**/*.py")
        if "robots.driver" in (text := p.read_text()) or "robots.sim_driver" in text
    }
    assert {p.parent.as_posix() for p in users} == {"vla_data/robots"} or all(
        p.as_posix().startswith("vla_data/robots") for p in users
    )
    assert Observation  # the vocabulary is all that leaves it
