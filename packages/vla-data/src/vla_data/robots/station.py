"""A robot ready to work: its loop, what it can be told to do, what it records."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vla_data.errors import ConfigError
from vla_data.robots.arm_driver import ArmDriver
from vla_data.robots.by_file import BY_FILE, data_set_name, driver_by_file
from vla_data.robots.control_loop import ControlLoop, MotionReport
from vla_data.robots.driver import Driver
from vla_data.robots.episode_log import EpisodeLog, KeptEpisodes
from vla_data.robots.kernel import KernelConfig, SafetyKernel
from vla_data.robots.limits import ACCELERATION, MotionLimits, limits_of
from vla_data.robots.motions import Motion
from vla_data.robots.operating import Interruptible, OperatorMotion, TakenOver
from vla_data.robots.policy_motion import AsyncConfig, PolicyMotion
from vla_data.robots.remote_policy import RemotePolicy
from vla_data.robots.scene import Judge
from vla_data.robots.scripted_motion import ScriptedMotion
from vla_data.robots.sim_driver import SimDriver, sim_driver
from vla_data.robots.tracing import TracingDriver
from vla_data.rollout_checks import require_match
from vla_data.sim import instructions, make_expert
from vla_data.sim.placements import Split, placement_seed
from vla_data.types import CameraInput, StepResult, Trial

EXPERT, ARM = "expert", "arm"
SIMULATED = "sim-"
STEPS = 1000  # of a task of which nobody says how long it may take


@dataclass(frozen=True)
class StationConfig:
    """A robot, what moves it, and where its episodes go.

    Args:
        robot: "sim-metaworld", "sim-libero", "arm" (robosuite's Panda), "arm:FILE" (an MJCF or URDF),
            "ros2:FILE", "lerobot:FILE" (a file that describes it).
        tasks: that it can be told to do; of a simulated robot the simulator's.
        policy: "expert" for the simulator's scripted one, or the address of a served one.
        token: for that.
        cameras: it looks through: (name, height, width).
        split: of placements, where the robot is simulated.
        out: directory of episodes; None keeps none.
        steps: cap of a task; None for the simulator's own.
        control_hz: of an arm.
        successes_only: episodes of anything else are not kept.
        judge: who says whether a task was done; None for the simulator, and where there is none for whoever
            gave the task.
        trace: file in which everything that reaches the motors is written down; None: nowhere.
    """

    robot: str = "sim-metaworld"
    tasks: tuple[str, ...] = ("reach", "drawer-open", "door-open", "window-open", "button-press-topdown")
    policy: str = EXPERT
    token: str | None = field(default=None, repr=False)
    cameras: tuple[CameraInput, ...] = ()
    split: Split = "validation"
    out: Path | None = None
    steps: int | None = None
    control_hz: float = 50.0
    successes_only: bool = False
    judge: Judge | None = None
    trace: Path | None = None
    kernel: KernelConfig = field(default_factory=KernelConfig)
    driving: AsyncConfig = field(default_factory=AsyncConfig)


class Station:
    """A robot with its loop; `open_station` gives one.

    Args:
        skills: name → wordings of its instruction, the plainest first.
    """

    def __init__(self, config: StationConfig, driver: Driver, kernel: SafetyKernel) -> None:
        self.config = config
        self._sim = driver if isinstance(driver, SimDriver) else None
        self.skills: Mapping[str, tuple[str, ...]] = _skills(config, self._sim)
        self.judge: Judge = _judge(config, self._sim)
        self.operator: OperatorMotion | None = None
        self.judged: int | None = None  # number of the motion of which a person says that it succeeded
        self._unjudged = 0  # number of the motion whose episode waits for a verdict
        self._seeds = itertools.count()
        self._move = self._mover(driver)
        self._log = self._episode_log(kernel)
        step = self._log.step if self._log else None
        self.loop = ControlLoop(kernel, self._watch, step, self._ended)

    @property
    def scene(self) -> str:
        """The task whose scene is arranged; empty for a robot that nobody arranges for."""
        placed = self._sim.placed if self._sim is not None else None
        return placed.task if placed is not None else ""

    @property
    def written(self) -> int:
        """Episodes kept since it began."""
        return self._log.written if self._log else 0

    def motion(self, skill: str, instruction: str, steps: int | None, seed: int, *, arrange: bool) -> Motion:
        """What carries out a skill. Called in the loop's thread.

        Args:
            arrange: have the simulator arrange the scene anew; it does so anyway where the skill needs
                another one.

        Raises:
            ConfigError: nothing carries out skills.
        """
        if self._move is None:
            raise ConfigError("nothing carries out skills here", where=self.config.robot, expected="a policy")
        limit = steps or self.config.steps
        if self._sim is not None:
            limit = limit or self._sim.max_steps(skill)
        self._arranged(skill, seed, arrange=arrange)
        self.expect(skill, instruction)
        return self._move(instruction, limit or STEPS)

    def by_hand(self, skill: str, instruction: str, *, policy: bool) -> Motion:
        """A person does a skill, alone or in a policy's place. Called in the loop's thread.

        Raises:
            ConfigError: there is no policy.
        """
        operator = OperatorMotion(self.loop.kernel.spec)
        driven: Motion = operator
        if policy:
            motion = self.motion(skill, instruction, None, 0, arrange=True)
            assert isinstance(motion, Interruptible)
            driven = TakenOver(motion, operator)
        else:
            self._arranged(skill, 0, arrange=True)
            self.expect(skill, instruction)
        self.operator = operator
        return driven

    def expect(self, task: str, instruction: str) -> None:
        """What the next episode is about."""
        if self._log is not None:
            placed = self._sim.placed if self._sim is not None else None
            self._log.expect(Trial(task, placed.seed if placed else 0, instruction))

    def _arranged(self, skill: str, seed: int, *, arrange: bool) -> None:
        """Have the simulator arrange the scene of a skill, where there is one."""
        if self._sim is None:
            return
        said, placed = self.skills[skill][0], self._sim.placed
        if not arrange and placed is not None and self._sim.go_on(Trial(skill, placed.seed, said)):
            return
        number = seed or next(self._seeds)
        self._sim.place(Trial(skill, placement_seed(self.config.split, number), said))

    def close(self) -> None:
        """Put the episodes together."""
        if self._log is not None:
            self._log.close()
            self._episodes.assemble(f"Episodes of {self.config.robot}, as it was told.")

    def _mover(self, driver: Driver) -> Callable[[str, int], Motion] | None:
        """(instruction, steps) → what carries it out."""
        if self.config.policy == EXPERT:
            if self._sim is None:
                return None
            expert = make_expert(self._sim.env)
            return lambda instruction, steps: ScriptedMotion(expert, steps)
        driving = self.config.driving
        open_policy = partial(RemotePolicy, self.config.policy, self.config.token, driving.patience)
        first = open_policy()
        spec = first.input_spec
        first.close()
        require_match(driver.spec, driver.cameras, spec)
        return lambda instruction, steps: PolicyMotion(
            spec, open_policy, instruction, driver.clock, steps, driving
        )

    def _episode_log(self, kernel: SafetyKernel) -> EpisodeLog | None:
        if self.config.out is None:
            return None
        name = data_set_name(self.config.robot)
        self._episodes = KeptEpisodes(self.config.out, name, kernel.spec, kernel.cameras)
        self._episodes.require_same()
        only = self.config.successes_only
        return EpisodeLog(self._episodes, kernel.spec, kernel.cameras, successes_only=only)

    def _watch(self) -> StepResult:
        result = self._sim.result if self._sim is not None else StepResult(0.0, False)
        return result if self.judge == "simulator" else StepResult(0.0, False, result.ended)

    def _ended(self, report: MotionReport) -> None:
        if self._log is None:
            return
        succeeded = report.state == "succeeded" or self.judged == report.number
        awaited = self.judge == "agent" and report.state == "ended" and not succeeded
        self._unjudged = report.number if awaited else 0
        self._log.end(None if awaited else succeeded)

    def verdict(self, number: int, success: bool) -> None:
        """What somebody says of a motion that has ended. Called in the loop's thread."""
        if self._log is not None and self._unjudged == number:
            self._log.judge(success)


def _judge(config: StationConfig, sim: SimDriver | None) -> Judge:
    if config.judge == "simulator" and sim is None:
        raise ConfigError(
            "nothing here knows whether a task was done",
            where=config.robot,
            expected="a simulated robot",
            next_step="--judge agent",
        )
    return config.judge or ("simulator" if sim is not None else "agent")


def _skills(config: StationConfig, sim: SimDriver | None) -> dict[str, tuple[str, ...]]:
    if sim is None:
        return {task: (task,) for task in config.tasks} if config.policy != EXPERT else {}
    name = config.robot.removeprefix(SIMULATED)
    return {t: (*instructions(name, t, "train"), *instructions(name, t, "eval")) for t in sim.tasks}


def _driver(config: StationConfig) -> Driver:
    kind, _, rest = config.robot.partition(":")
    if kind == ARM:
        return ArmDriver(rest or "panda", config.control_hz)
    if kind in BY_FILE:
        return driver_by_file(config.robot)
    if not kind.startswith(SIMULATED):
        raise ConfigError(
            "a robot is unknown",
            where="robot",
            expected="sim-metaworld, sim-libero, arm, arm:FILE of an MJCF or URDF, ros2:FILE or lerobot:FILE",
            got=config.robot,
        )
    cameras = [(c.name, c.height, c.width) for c in config.cameras]
    told = config.policy == EXPERT
    return sim_driver(kind.removeprefix(SIMULATED), config.tasks, cameras, real_time=True, privileged=told)


def _limits(driver: Driver) -> MotionLimits:
    """Of what the robot's description says; an arm that says no acceleration is given one."""
    return limits_of(driver.spec, acceleration=ACCELERATION if driver.spec.joints else np.inf)


@contextmanager
def open_station(config: StationConfig) -> Iterator[Station]:
    """A robot; whoever opens it runs its loop in the same thread, in which pictures are drawn.

    Raises:
        UnknownNameError, MissingDependencyError: of the simulator.
        RemotePolicyError: the policy's server cannot be reached.
        SpecMismatchError: the policy is of another robot.
    """
    driver = _driver(config)
    traced = driver if config.trace is None else TracingDriver(driver, config.trace)
    kernel = SafetyKernel(traced, config.kernel, _limits(driver))
    kernel.connect()
    station = None
    try:
        if isinstance(driver, SimDriver):
            for task in driver.tasks:  # built and drawn once, so that no control step waits for it later
                driver.place(Trial(task, placement_seed("validation", 0), ""))
                kernel.observe()
        station = Station(config, driver, kernel)
        yield station
    finally:
        kernel.close()  # the robot first: writing episodes may take a while
        if station is not None:
            station.close()
