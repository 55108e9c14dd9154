"""Blocks of trials in worker processes: what an evaluation is made of.

A trial is fixed by its task, placement and instruction, so a block comes out alike wherever and whenever it
is run. A policy that answers wrongly ends the evaluation; a simulator that fails does not: its trial is run
once more, and then counts as an error, never as a failure of the policy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from vla_data.config import to_dict
from vla_data.errors import SimError, VlaError
from vla_data.files import read_json, write_json
from vla_data.pool import WorkerDiedError, map_units
from vla_data.protocols import Policy, SimEnv
from vla_data.rollout import Rollout, RolloutConfig, rollout
from vla_data.sim import CameraView, SimConfig, instructions, make_env, make_expert, sub_tasks
from vla_data.sim.config import Perturbation
from vla_data.sim.placements import placement_seed
from vla_data.types import Trial
from vla_model.eval_config import UNTRAINED, Arm, EvalConfig, TrialRecord
from vla_model.latency import late
from vla_model.prompt.episodes import with_checklist
from vla_model.prompt.types import SubTask

log = logging.getLogger(__name__)
UNCHANGED = Perturbation()
BLOCK = 5  # trials a work unit: small enough to resume and balance, large enough to amortise a reset


@dataclass(frozen=True)
class Unit:
    """Trials [start, stop) of one task under one arm, kept in `path`."""

    arm: Arm
    config: EvalConfig
    task: str
    start: int
    stop: int
    path: str

    @property
    def under_way(self) -> Path:
        """Names the trial that is running."""
        return Path(f"{self.path}.under-way")

    @property
    def given_up(self) -> Path:
        """Trials that ended their worker twice: index → why."""
        return Path(f"{self.path}.given-up")


def units_of(arm: Arm, config: EvalConfig, out: Path) -> list[Unit]:
    """The blocks of an arm, in order."""
    units = []
    for task in config.tasks:
        for start in range(0, config.trials, BLOCK):
            path = out / "records" / arm.slug / f"{task}-{start:04d}.json"
            units.append(Unit(arm, config, task, start, min(start + BLOCK, config.trials), str(path)))
    return units


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
        if arm.wording == "blank":
            said = ""
        elif config.checklists:
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
def open_env(
    config: EvalConfig, cameras: tuple[CameraView, ...], perturbation: Perturbation = UNCHANGED
) -> SimEnv:
    """The environment of a worker process; kept, since making one costs more than a trial."""
    looked_at = SimConfig(cameras, config.render, config.settle_steps, config.world_seed, perturbation)
    return make_env(config.sim, config.tasks, looked_at, num_envs=1)


def run_units(units: Sequence[Unit], workers: int | None, on_done: Callable[[Unit], None]) -> None:
    """Run blocks of trials in worker processes, whatever happens to those.

    Where a worker dies, the blocks that were under way are run again one after the other, so that a second
    death tells which trial it was: that one is given up as an error, and the rest goes on.

    Raises:
        VlaError: what a policy or the protocol raised.
    """
    left = list(units)
    while left:
        try:
            for unit, _ in map_units(run_unit, left, workers):
                on_done(unit)
            return
        except WorkerDiedError:
            for unit in [u for u in left if u.under_way.is_file() and not Path(u.path).is_file()]:
                log.warning("a worker died in %s of %s; its trials are run again", unit.task, unit.arm.name)
                _run_alone(unit)
                on_done(unit)
            left = [u for u in left if not Path(u.path).is_file()]


def _run_alone(unit: Unit) -> None:
    """Run a block in a process of its own until it ends, without the trials that end it twice."""
    unit.under_way.unlink(missing_ok=True)
    while True:
        try:
            for _ in map_units(run_unit, [unit], 1):
                return
        except WorkerDiedError:
            if not unit.under_way.is_file():  # it died before any trial
                raise
            index = read_json(unit.under_way)["index"]
            known = read_json(unit.given_up) if unit.given_up.is_file() else {}
            write_json(unit.given_up, {**known, str(index): "the simulator's process died twice"})


def run_unit(unit: Unit) -> int:
    """Run a block of trials in this process and keep its records; the number of successes."""
    if unit.arm.policy not in UNTRAINED:
        import torch

        torch.set_num_threads(unit.config.threads)
    given_up = read_json(unit.given_up) if unit.given_up.is_file() else {}
    records = []
    for index, trial in enumerate(
        trials_of(unit.arm, unit.config, unit.task, unit.start, unit.stop), unit.start
    ):
        write_json(unit.under_way, {"index": index})
        why = given_up.get(str(index)) or ""
        records.append(_failed(trial, index, why) if why else _tried(unit, trial, index))
    write_json(Path(unit.path), [to_dict(r) for r in records])
    unit.under_way.unlink()
    unit.given_up.unlink(missing_ok=True)
    return sum(r.success for r in records)


def _tried(unit: Unit, trial: Trial, index: int) -> TrialRecord:
    """A trial; where the simulator fails, once more in a new one."""
    try:
        return _drive(unit, trial, index)
    except SimError as error:
        log.warning("%s, tried again in a new simulator", error)
        open_env.cache_clear()
    try:
        return _drive(unit, trial, index)
    except SimError as error:
        open_env.cache_clear()
        return _failed(trial, index, error.message if error.got is None else f"{error.message}: {error.got}")


def _drive(unit: Unit, trial: Trial, index: int) -> TrialRecord:
    env = Guarded(open_env(unit.config, arm_cameras(unit.arm), unit.arm.perturbation))
    done = drive(cast(SimEnv, env), make_policy(unit.arm, env.env), unit.config, trial)
    return TrialRecord(trial.task, index, trial.seed, trial.instruction, done.success, done.steps)


def drive(env: SimEnv, policy: Policy, config: EvalConfig, trial: Trial) -> Rollout:
    """A trial under a protocol."""
    driver, execute = late(policy, config.latency, config.execute)
    (done,) = rollout(env, driver, [trial], RolloutConfig(execute=execute, max_steps=config.max_steps))
    return done


def _failed(trial: Trial, index: int, why: str) -> TrialRecord:
    return TrialRecord(trial.task, index, trial.seed, trial.instruction, False, 0, why)


class Guarded:
    """A `SimEnv` of which whatever it raises by accident comes as a SimError: it is not the policy's."""

    def __init__(self, env: SimEnv) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, *args: Any, **named: Any) -> Any:
        return self._call(self.env.reset, *args, **named)

    def step(self, *args: Any, **named: Any) -> Any:
        return self._call(self.env.step, *args, **named)

    def observe(self, *args: Any, **named: Any) -> Any:
        return self._call(self.env.observe, *args, **named)

    @staticmethod
    def _call(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        try:
            return call(*args, **named)
        except VlaError:
            raise
        except Exception as error:
            raise SimError(
                "a simulator failed", where=f"{call.__qualname__}", got=f"{type(error).__name__}: {error}"
            ) from error
