"""A policy on a robot: the roll-out loop of the simulators, a person (or a simulated robot) as the judge.

What is kept is of the same form as of `vla_model.evaluate`, so that two policies tried on one robot are
compared by the same command; episodes are a data set that trains again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_data.config import to_dict
from vla_data.files import write_json
from vla_data.protocols import OnProgress, Policy, no_progress
from vla_data.report import Section, Table, Text
from vla_data.robots.scene import Scene
from vla_data.robots.sessions import RobotConfig, RobotTask, run_on_robot
from vla_data.robots.trials import Judged
from vla_model.eval_config import Arm, EvalConfig, TrialRecord
from vla_model.evaluate import TaskResult
from vla_model.statistics import wilson_interval

TOTAL = "all"


def evaluate_on_robot(
    policy: Policy,
    arm: Arm,
    config: RobotConfig,
    out: Path,
    scene: Scene | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Run the trials that are not judged yet; a summary of plain values, and the sections of the run's page.

    Args:
        scene: who arranges and judges; None for a simulated robot's own.

    Raises:
        As `run_on_robot`.
    """
    judged = run_on_robot(policy, config, out, "eval", scene, on_progress=on_progress)
    for task in config.tasks:
        mine = [to_dict(TrialRecord(**vars(j))) for j in judged if j.task == task.name]
        write_json(out / "records" / arm.slug / f"{task.name}-0000.json", mine)
    rows = _rows(arm, config.tasks, judged)
    protocol = EvalConfig(
        sim=config.robot,
        tasks=tuple(t.name for t in config.tasks),
        trials=config.trials,
        execute=config.execute,
        max_steps=config.max_steps,
    )
    results = {"pictures": config.robot, "config": to_dict(protocol), "table": to_dict(rows)}
    write_json(out / "results.json", results)
    return {arm.name: {r.task: f"{r.successes}/{r.trials}" for r in rows}}, [_section(config, rows)]


def _section(config: RobotConfig, rows: Sequence[TaskResult]) -> Section:
    said = (
        f"{config.robot}, {config.trials} trials a task, tasks in turn; {config.execute} actions executed "
        "between looks; every action passed the safety kernel."
    )
    groups = {t.name: t.group for t in config.tasks}
    cells = tuple(
        (
            r.task,
            groups.get(r.task, ""),
            f"{r.successes}/{r.trials}",
            f"{100 * r.low:.0f}–{100 * r.high:.0f}%",
        )
        for r in rows
    )
    return Section("On a robot", (Text(said), Table(("task", "is", "successes", "Wilson 95%"), cells)))


def _rows(arm: Arm, tasks: Sequence[RobotTask], judged: Sequence[Judged]) -> list[TaskResult]:
    """Of each task, of each group where there are several, and of all."""
    groups = dict.fromkeys(t.group for t in tasks)
    members = {t.name: {t.name} for t in tasks}
    if len(groups) > 1:
        members |= {g: {t.name for t in tasks if t.group == g} for g in groups}
    members[TOTAL] = {t.name for t in tasks}
    rows = []
    for name, some in members.items():
        wins = [j.success for j in judged if j.task in some]
        rows.append(TaskResult(arm.name, name, sum(wins), len(wins), *wilson_interval(sum(wins), len(wins))))
    return rows
