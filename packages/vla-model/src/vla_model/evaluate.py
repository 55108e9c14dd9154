"""Closed-loop evaluation: policies beside their baselines, under one protocol, resumable.

Every trial is fixed by its task, placement seed and instruction, so the same arm gives the same outcomes
whatever the number of workers. Finished blocks of trials are files: an interrupted evaluation goes on where
it stopped. Notable features:
- arms side by side: a policy, the same policy under unseen or permuted instructions, expert, random
- Wilson intervals; a video of the first success and the first failure of each task
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.files import read_json, write_json
from vla_data.pool import map_units
from vla_data.protocols import OnProgress, Policy, Progress, SimEnv, no_progress
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import (
    CameraView,
    SimConfig,
    chosen_tasks,
    gl,
    instructions,
    make_env,
    make_expert,
    pictures_of,
    sub_tasks,
)
from vla_data.sim.placements import placement_seed
from vla_data.types import Trial
from vla_model.prompt.episodes import with_checklist
from vla_model.prompt.types import SubTask
from vla_model.statistics import wilson_interval
from vla_model.words import split_words

Wording = Literal["train", "unseen", "permuted"]
UNTRAINED = ("expert", "random")
BLOCK = 5  # trials a work unit: small enough to resume and balance, large enough to amortise a reset


@dataclass(frozen=True)
class Arm:
    """One row of the table: who drives, and what it is told.

    Args:
        name: label of the row.
        policy: a checkpoint directory, `expert` or `random`.
        wording: `train` (the canonical instruction), `unseen` (wordings kept out of training) or `permuted`
            (the canonical instruction of another task of the evaluation, success still judged by the task).
    """

    name: str
    policy: str
    wording: Wording = "train"

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return "-".join(split_words(self.name))


@dataclass(frozen=True)
class EvalConfig:
    """The protocol, every switch explicit.

    Args:
        sim: simulator.
        tasks: tasks to try, or suites of them (`vla_data.sim.chosen_tasks`).
        trials: placements a task.
        split: which placements; `eval` ones are never seen in training by construction.
        execute: actions of a chunk executed before the policy looks again.
        max_steps: cap; None for the simulator's own.
        render: render settings of the simulator.
        settle_steps: no-op steps after a reset that no policy sees, where the simulator's protocol has them.
        world_seed: seed of a simulator's own fixtures, where they vary apart from the placement.
        videos: record the first success and failure of each task, for every arm but expert and random.
        threads: torch threads a worker.
        checklists: the sub-tasks of a task are told below its instruction, where the simulator knows them.
    """

    sim: str = "metaworld"
    tasks: tuple[str, ...] = ()
    trials: int = 20
    split: Literal["validation", "eval"] = "eval"
    execute: int = 8
    max_steps: int | None = None
    render: Literal["fast", "reference"] = "fast"
    settle_steps: int = 10
    world_seed: int = 0
    videos: bool = True
    threads: int = 1
    checklists: bool = False


def _default() -> EvalConfig:
    from vla_data.sim.generate import GenerateConfig

    return EvalConfig(tasks=GenerateConfig().tasks)


PRESETS: dict[str, Callable[[], EvalConfig]] = {
    "default": _default,
    "libero": lambda: EvalConfig("libero", ("libero_object",), trials=10),
    "debug": lambda: EvalConfig(tasks=("reach",), trials=2, max_steps=50, videos=False),
}


@dataclass(frozen=True)
class TrialRecord:
    """What happened in one trial. `steps` counts until success or the cap."""

    task: str
    index: int
    seed: int
    instruction: str
    success: bool
    steps: int


@dataclass(frozen=True)
class TaskResult:
    """Successes of one arm on one task, with the Wilson 95% interval."""

    arm: str
    task: str
    successes: int
    trials: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        return self.successes / self.trials if self.trials else 0.0


@dataclass(frozen=True)
class _Unit:
    """Trials [start, stop) of one task under one arm, kept in `path`."""

    arm: Arm
    config: EvalConfig
    task: str
    start: int
    stop: int
    path: str


@dataclass(frozen=True)
class EvalResult:
    """All records, and the table made of them; task `all` is the sum over tasks."""

    records: dict[str, tuple[TrialRecord, ...]]
    table: tuple[TaskResult, ...]

    def rate(self, arm: str) -> float:
        """Success rate of an arm over all tasks."""
        return next(r.rate for r in self.table if r.arm == arm and r.task == "all")


def evaluate(
    arms: Sequence[Arm],
    config: EvalConfig,
    out: Path,
    *,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> EvalResult:
    """Run every arm on every task's placements.

    Args:
        arms: rows of the table; names are distinct.
        config: the protocol.
        out: directory of records, `results.json` and videos; finished blocks in it are kept.
        workers: processes; outcomes do not depend on it.

    Raises:
        UnknownNameError: a task the simulator does not have.
        SpecMismatchError: a policy's action or cameras do not fit the simulator.
    """
    if len({a.slug for a in arms}) != len(arms) or not config.tasks:
        raise ConfigError("arms need distinct names, and at least one task", where="evaluation")
    config = replace(config, tasks=chosen_tasks(config.sim, config.tasks))
    units = [u for arm in arms for u in _units(arm, config, out)]
    waiting = [u for u in units if not Path(u.path).is_file()]
    done = sum(u.stop - u.start for u in units) - sum(u.stop - u.start for u in waiting)
    total = sum(u.stop - u.start for u in units)
    on_progress(Progress("evaluate", done, total, "trials"))
    if any(unit.arm.policy not in UNTRAINED for unit in waiting):
        gl.use_backend()  # once here, so that the workers inherit the answer
    for unit, _ in map_units(_run_unit, waiting, workers):
        done += unit.stop - unit.start
        on_progress(Progress("evaluate", done, total, "trials", message=f"{unit.arm.name}: {unit.task}"))
    result = _collect(arms, config, units)
    said = {"pictures": pictures_of(config.sim), "config": to_dict(config), "table": to_dict(result.table)}
    write_json(out / "results.json", said)
    return result


def trials_of(arm: Arm, config: EvalConfig, task: str, start: int, stop: int) -> list[Trial]:
    """Trials [start, stop) of a task: placements by index, instructions by the arm's wording."""
    out = []
    for index in range(start, stop):
        said_for = task
        if arm.wording == "permuted":
            others = [t for t in config.tasks if t != task]
            said_for = others[index % len(others)] if others else task
        wordings = instructions(config.sim, said_for, "eval" if arm.wording == "unseen" else "train")
        said = wordings[index % len(wordings)] if arm.wording == "unseen" else wordings[0]
        if config.checklists:
            said = with_checklist(said, tuple(SubTask(t) for t in sub_tasks(config.sim, said_for)))
        out.append(Trial(task, placement_seed(config.split, index), said))
    return out


def make_policy(arm: Arm, env: SimEnv) -> Policy:
    """The driver of an arm.

    Raises:
        CheckpointError: the checkpoint does not match its manifest.
    """
    if arm.policy == "expert":
        return make_expert(env)
    if arm.policy == "random":
        from vla_data.sim import RandomPolicy

        return RandomPolicy(env.robot)
    return _checkpoint(arm.policy)


def arm_cameras(arm: Arm) -> tuple[CameraView, ...]:
    """The cameras an arm looks through; scripted and random arms look through none."""
    if arm.policy in UNTRAINED:
        return ()
    cameras = _checkpoint(arm.policy).input_spec.cameras
    return tuple(CameraView(c.name, c.name, c.height, c.width) for c in cameras)


@lru_cache(maxsize=4)
def _checkpoint(path: str) -> Policy:
    from vla_model.policies.registry import load_policy

    return load_policy(path)


@lru_cache(maxsize=4)
def open_env(config: EvalConfig, cameras: tuple[CameraView, ...]) -> SimEnv:
    """The environment of a worker process; kept, since making one costs more than a trial."""
    looked_at = SimConfig(cameras, config.render, config.settle_steps, config.world_seed)
    return make_env(config.sim, config.tasks, looked_at, num_envs=1)


def _units(arm: Arm, config: EvalConfig, out: Path) -> list[_Unit]:
    units = []
    for task in config.tasks:
        for start in range(0, config.trials, BLOCK):
            path = out / "records" / arm.slug / f"{task}-{start:04d}.json"
            units.append(_Unit(arm, config, task, start, min(start + BLOCK, config.trials), str(path)))
    return units


def _run_unit(unit: _Unit) -> int:
    """Run a block of trials in a worker and keep its records; the number of successes."""
    config = unit.config
    if unit.arm.policy not in UNTRAINED:
        import torch

        torch.set_num_threads(config.threads)
    env = open_env(config, arm_cameras(unit.arm))
    trials = trials_of(unit.arm, config, unit.task, unit.start, unit.stop)
    index_of = {t.seed: unit.start + i for i, t in enumerate(trials)}
    options = RolloutConfig(execute=config.execute, max_steps=config.max_steps)
    records = [
        TrialRecord(
            r.trial.task, index_of[r.trial.seed], r.trial.seed, r.trial.instruction, r.success, r.steps
        )
        for r in rollout(env, make_policy(unit.arm, env), trials, options)
    ]
    records.sort(key=lambda r: r.index)
    write_json(Path(unit.path), [to_dict(r) for r in records])
    return sum(r.success for r in records)


def _collect(arms: Sequence[Arm], config: EvalConfig, units: Sequence[_Unit]) -> EvalResult:
    records: dict[str, tuple[TrialRecord, ...]] = {}
    table = []
    for arm in arms:
        paths = [u.path for u in units if u.arm.name == arm.name]
        rows = [from_dict(TrialRecord, r, where=p) for p in paths for r in read_json(Path(p))]
        records[arm.name] = tuple(rows)
        for task in (*config.tasks, "all"):
            mine = [r.success for r in rows if task in ("all", r.task)]
            table.append(
                TaskResult(arm.name, task, sum(mine), len(mine), *wilson_interval(sum(mine), len(mine)))
            )
    return EvalResult(records, tuple(table))
