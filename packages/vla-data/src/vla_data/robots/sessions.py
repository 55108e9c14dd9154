"""A list of tasks, a robot and a policy: what an evaluation or a recording on a robot does."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vla_data.config import from_dict
from vla_data.errors import ConfigError
from vla_data.protocols import OnProgress, Policy, no_progress
from vla_data.robots.by_file import data_set_name
from vla_data.robots.opening import OpenRobot, open_robot
from vla_data.robots.robot_env import RobotEnv
from vla_data.robots.scene import Scene
from vla_data.robots.trials import Judged, Session, run_session
from vla_data.rollout import RolloutConfig
from vla_data.sim import instructions
from vla_data.sim.placements import Split, placement_seed
from vla_data.types import Trial

SIMULATED = "sim-"
Group = Literal["in-distribution", "novel"]


@dataclass(frozen=True)
class RobotTask:
    """What a robot is asked to do, and whether its policy was trained on such."""

    name: str
    instruction: str = ""
    group: Group = "in-distribution"


@dataclass(frozen=True)
class _Tasks:
    tasks: tuple[RobotTask, ...]


@dataclass(frozen=True)
class RobotConfig:
    """Which trials are run on which robot.

    Args:
        robot: by name (`vla_data.robots.opening.ROBOTS`), or of a file: "ros2:FILE", "lerobot:FILE".
        tasks: what it is asked to do; a simulated robot has instructions of its own.
        trials: a task; tasks take turns.
        execute: actions of a chunk carried out before the policy looks again.
        max_steps: cap of a trial; None for a simulated robot's own.
    """

    robot: str = "sim-metaworld"
    tasks: tuple[RobotTask, ...] = (RobotTask("reach"),)
    trials: int = 10
    execute: int = 8
    max_steps: int | None = None

    def __post_init__(self) -> None:
        names = [t.name for t in self.tasks]
        if not names or len(set(names)) < len(names) or self.trials < 1:
            raise ConfigError(
                "nothing can be tried on a robot like this",
                where="RobotConfig",
                expected="one trial and one task at least, each named once",
                got=f"{self.trials} trials of {', '.join(names) or 'no task'}",
            )


PRESETS: dict[str, Callable[[], RobotConfig]] = {
    "default": RobotConfig,
    "debug": lambda: RobotConfig(trials=2, max_steps=40),
}


def read_tasks(path: Path) -> tuple[RobotTask, ...]:
    """Tasks from a TOML file of `[[tasks]]` with name, instruction and group.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return from_dict(_Tasks, tomllib.loads(path.read_text()), where=str(path)).tasks
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a list of tasks cannot be read", where=str(path), expected="[[tasks]] in TOML", got=str(error)
        ) from error


def run_on_robot(
    policy: Policy,
    config: RobotConfig,
    out: Path,
    split: Split,
    scene: Scene | None = None,
    *,
    successes_only: bool = False,
    on_progress: OnProgress = no_progress,
) -> list[Judged]:
    """Run the trials that are not judged yet; the results of all.

    Args:
        split: of placements, where the robot is simulated.
        scene: who arranges and judges; None for a simulated robot's own.
        successes_only: keep no episode of a failure.

    Raises:
        ConfigError: nobody can judge, or say how long a trial lasts.
        SpecMismatchError: the policy is of another robot or looks through other cameras.
        StoppedByPersonError: a person ended the session; the same call goes on.
        RefusedError, RobotError: the robot was stopped, or does not answer.
    """
    tasks = [_worded(task, config.robot) for task in config.tasks]
    names = [task.name for task in tasks]
    robot = open_robot(config.robot, names, policy.input_spec.cameras)
    try:
        judge = scene or robot.scene
        if judge is None:
            raise ConfigError("nobody judges", where=config.robot, next_step="--judge person")
        env = RobotEnv(robot.kernel, judge, names, _cap(config, robot), robot.sleep)
        trials = tuple(_in_turn(tasks, config.trials, split))
        session = Session(out, data_set_name(config.robot), trials, successes_only)
        options = RolloutConfig(execute=config.execute, max_steps=config.max_steps)
        return run_session(session, env, policy, judge, options, on_progress)
    finally:
        robot.kernel.close()


def record(
    policy: Policy,
    config: RobotConfig,
    out: Path,
    scene: Scene | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Episodes of successes as a data set, from placements for training; plain values about it.

    Raises:
        As `run_on_robot`.
    """
    judged = run_on_robot(policy, config, out, "train", scene, successes_only=True, on_progress=on_progress)
    wins = [j for j in judged if j.success]
    data = Session(out, data_set_name(config.robot), ()).episodes
    return {
        "robot": config.robot,
        "trials": len(judged),
        "episodes": len(wins),
        "steps": sum(j.steps for j in wins),
        "directory": str(data) if wins else "",
    }


def _in_turn(tasks: Sequence[RobotTask], trials: int, split: Split) -> Iterator[Trial]:
    """Every task in turn, so that what changes over a day (light, wear) meets all alike."""
    for index in range(trials):
        for task in tasks:
            yield Trial(task.name, placement_seed(split, index), task.instruction)


def _worded(task: RobotTask, robot: str) -> RobotTask:
    """The task with an instruction; a simulator has one of its own."""
    if task.instruction:
        return task
    if robot.startswith(SIMULATED):
        said = instructions(robot.removeprefix(SIMULATED), task.name, "train")[0]
        return replace(task, instruction=said)
    return replace(task, instruction=task.name)


def _cap(config: RobotConfig, robot: OpenRobot) -> int:
    if config.max_steps is not None:
        return config.max_steps
    if robot.max_steps is None:
        raise ConfigError(
            "nobody says how long a trial lasts",
            where=config.robot,
            expected="steps",
            next_step="--set max_steps=400",
        )
    return max(robot.max_steps(task.name) for task in config.tasks)
