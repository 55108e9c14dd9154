"""`vla eval robot`, `vla data record`: trials on a robot, judged by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.errors import InterruptedRunError
from vla_cli.parser import example

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_data.robots.scene import Scene
    from vla_data.robots.sessions import RobotConfig

EVAL_EXAMPLE = example("vla eval robot --checkpoint runs/policy --tasks reach --episodes 5 --out runs/robot")
RECORD_EXAMPLE = example(
    "vla data record --checkpoint runs/policy --tasks reach --episodes 5 --out runs/more"
)

Robot = Annotated[
    str | None,
    typer.Option(
        "--robot", metavar="NAME", help="sim-metaworld (default), sim-libero, ros2:FILE, lerobot:FILE."
    ),
]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", metavar="DIR", help="Checkpoint of `vla model finetune`.")
]
Elsewhere = Annotated[
    str | None, typer.Option("--policy", metavar="ADDRESS", help="A served policy: ws://HOST:PORT.")
]
TaskFile = Annotated[
    Path | None,
    typer.Option("--task-file", metavar="FILE", help="[[tasks]] in TOML: name, instruction, group."),
]
Teleop = Annotated[
    str | None,
    typer.Option(
        "--teleop",
        metavar="HOW",
        help="A person drives or takes over: keyboard, gamepad[:DEVICE], lerobot:FILE.",
    ),
]
Judge = Annotated[
    Literal["person", "simulator"] | None,
    typer.Option("--judge", help="Who arranges and judges; default: a simulator, else a person."),
]


def evaluate(
    out: o.Out,
    robot: Robot = None,
    checkpoint: Checkpoint = None,
    policy: Elsewhere = None,
    tasks: o.Tasks = None,
    task_file: TaskFile = None,
    episodes: o.Episodes = None,
    judge: Judge = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Try a policy on a robot, trial by trial, judged by a person."""

    def work(chosen: RobotConfig, where: str, on: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        from vla_model.eval_config import Arm
        from vla_model.policies.registry import load_policy
        from vla_model.robot_evaluation import evaluate_on_robot

        return evaluate_on_robot(
            load_policy(where), Arm("policy", where), chosen, out, _scene(judge, chosen), on
        )

    chosen = _chosen(robot, tasks, task_file, episodes, preset, config, set_)
    _run("evaluate on a robot", out, chosen, who_drives(checkpoint, policy), work, as_json)


def record(
    out: o.Out,
    robot: Robot = None,
    checkpoint: Checkpoint = None,
    policy: Elsewhere = None,
    tasks: o.Tasks = None,
    task_file: TaskFile = None,
    episodes: o.Episodes = None,
    judge: Judge = None,
    teleop: Teleop = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Record what a policy or a person does on a robot; successes become a data set that trains."""

    def work(chosen: RobotConfig, where: str, on: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        from vla_data.robots.sessions import record as recorded
        from vla_model.policies.registry import load_policy

        return recorded(load_policy(where), chosen, out, _scene(judge, chosen), on), []

    chosen = _chosen(robot, tasks, task_file, episodes, preset, config, set_)
    if teleop is not None:
        from vla_cli.teleop import drive

        drive(teleop, chosen, out, checkpoint, as_json)
        return
    _run("record", out, chosen, who_drives(checkpoint, policy), work, as_json)


def _run(
    stage: str,
    out: Path,
    chosen: RobotConfig,
    where: str,
    work: Callable[[RobotConfig, str, OnProgress], tuple[dict[str, Any], list[Section]]],
    as_json: bool,
) -> None:
    from vla_data.robots import is_remote
    from vla_data.robots.scene import StoppedByPersonError

    inputs = [] if is_remote(where) else stages.input_stages(where)
    told = {"trials": chosen, "policy": where if is_remote(where) else "checkpoint"}
    try:
        stages.run(stage, out, told, inputs, lambda on: work(chosen, where, on), as_json, tables=True)
    except StoppedByPersonError:
        raise InterruptedRunError(
            "stopped; what was judged is kept",
            where=str(out),
            next_step="run the same command again: it goes on with the next trial",
        ) from None


def _chosen(
    robot: str | None,
    tasks: list[str] | None,
    task_file: Path | None,
    episodes: int | None,
    preset: str,
    file: Path | None,
    overrides: list[str] | None,
) -> RobotConfig:
    """The trials."""
    from vla_data.robots.sessions import PRESETS, RobotTask, read_tasks

    named = tuple(RobotTask(name) for name in o.split_names(tasks) or ())
    listed = (*named, *(read_tasks(task_file) if task_file is not None else ())) or None
    return o.make_config(PRESETS, preset, file, overrides, robot=robot, tasks=listed, trials=episodes)


def who_drives(checkpoint: Path | None, policy: str | None) -> str:
    """Where a trained policy is: exactly one of a checkpoint and an address."""
    from vla_data.errors import ConfigError
    from vla_data.robots import is_remote
    from vla_model.checkpoint import find_checkpoint

    if (checkpoint is None) == (policy is None) or (policy is not None and not is_remote(policy)):
        raise ConfigError(
            "say who drives: exactly one of --checkpoint and --policy ws://HOST:PORT",
            expected="a trained policy",
            got=policy or "none, or two",
            next_step="--checkpoint RUN",
        )
    return policy if policy is not None else str(find_checkpoint(checkpoint))  # type: ignore[arg-type]


def _scene(judge: str | None, chosen: RobotConfig) -> Scene | None:
    """A person, or None for a simulated robot itself."""
    from vla_data.robots.sessions import SIMULATED

    if judge == "person" or (judge is None and not chosen.robot.startswith(SIMULATED)):
        from vla_cli.person import PersonScene

        return PersonScene()
    return None
