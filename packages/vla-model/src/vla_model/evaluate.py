"""Closed-loop evaluation: policies beside their baselines, under one protocol, resumable.

Every trial is fixed by its task, placement seed and instruction, so the same arm gives the same outcomes
whatever the number of workers. Finished blocks of trials are files: an interrupted evaluation goes on where
it stopped. Notable features:
- arms side by side: a policy, the same policy under unseen or permuted instructions, expert, random
- Wilson intervals; a video of the first success and the first failure of each task
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.files import read_json, write_json
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.sim import chosen_tasks, gl, pictures_of
from vla_model.driving import Unit, run_units, units_of
from vla_model.eval_config import UNTRAINED, Arm, EvalConfig, TrialRecord
from vla_model.statistics import wilson_interval


@dataclass(frozen=True)
class TaskResult:
    """Successes of one arm on one task with the Wilson 95% interval; `errors` are trials beside `trials` that
    could not be judged."""

    arm: str
    task: str
    successes: int
    trials: int
    low: float
    high: float
    errors: int = 0

    @property
    def rate(self) -> float:
        return self.successes / self.trials if self.trials else 0.0


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
    units = [u for arm in arms for u in units_of(arm, config, out)]
    waiting = [u for u in units if not Path(u.path).is_file()]
    done = sum(u.stop - u.start for u in units) - sum(u.stop - u.start for u in waiting)
    total = sum(u.stop - u.start for u in units)
    on_progress(Progress("evaluate", done, total, "trials"))
    if any(unit.arm.policy not in UNTRAINED for unit in waiting):
        gl.use_backend()  # once here, so that the workers inherit the answer

    def told(unit: Unit) -> None:
        nonlocal done
        done += unit.stop - unit.start
        on_progress(Progress("evaluate", done, total, "trials", message=f"{unit.arm.name}: {unit.task}"))

    run_units(waiting, workers, told)
    result = _collect(arms, config, units)
    said = {"pictures": pictures_of(config.sim), "config": to_dict(config), "table": to_dict(result.table)}
    write_json(out / "results.json", said)
    return result


def _collect(arms: Sequence[Arm], config: EvalConfig, units: Sequence[Unit]) -> EvalResult:
    records: dict[str, tuple[TrialRecord, ...]] = {}
    table = []
    for arm in arms:
        paths = [u.path for u in units if u.arm.name == arm.name]
        rows = [from_dict(TrialRecord, r, where=p) for p in paths for r in read_json(Path(p))]
        records[arm.name] = tuple(rows)
        for task in (*config.tasks, "all"):
            mine = [r for r in rows if task in ("all", r.task)]
            wins = [r.success for r in mine if not r.error]
            interval = wilson_interval(sum(wins), len(wins))
            errors = len(mine) - len(wins)
            table.append(TaskResult(arm.name, task, sum(wins), len(wins), *interval, errors))
    return EvalResult(records, tuple(table))
