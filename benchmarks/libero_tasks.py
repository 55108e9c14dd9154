"""LIBERO: which tasks construct and reset, and how often the scripted expert does each of them.

All 130 tasks are built and set to their first fixed initial state. The expert drives every task of the suites
that it was written for from the fixed initial states of the published protocol, no picture drawn; random
actions stand beside it.

`--out DIR` keeps every finished block of trials; an interrupted call goes on. `--suites` names some of them,
`--trials` how often each task is tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from _frame import Check, run
from vla_data.errors import VlaError
from vla_data.pool import map_units
from vla_data.protocols import Progress
from vla_data.sim import SimConfig, chosen_tasks, instructions, make_env, pictures_of, task_names
from vla_data.sim.placements import placement_seed
from vla_data.types import Trial
from vla_model.eval_config import Arm, EvalConfig
from vla_model.evaluate import EvalResult, evaluate

SUITES = ("libero_object", "libero_spatial", "libero_goal", "libero_10")
GOALS = {"libero_object": 0.95, "libero_spatial": 0.95}
TRIALS, RANDOM_TRIALS = 10, 2


def main(
    smoke: bool, out: Path | None = None, suites: tuple[str, ...] = SUITES, trials: int = TRIALS
) -> list[Check]:
    """Reset all, drive some."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            return main(smoke, Path(scratch), suites, trials)
    tasks = task_names("libero")[:2] if smoke else task_names("libero")
    told = list(map_units(_reset, [_Unit(task) for task in tasks], None))
    wrong = [f"{unit.task}: {what}" for unit, what in told if what]
    built = Check(
        "tasks that construct and reset",
        len(told) - len(wrong),
        "",
        f">= {len(tasks)}",
        "; ".join(wrong),
        not wrong,
    )
    chosen = ("libero_object/pick_up_the_butter_and_place_it_in_the_basket",) if smoke else suites
    protocol = EvalConfig("libero", chosen, trials=1 if smoke else trials, videos=False)
    driven = evaluate((Arm("expert", "expert"),), protocol, out / "expert", on_progress=tell)
    few = EvalConfig("libero", chosen, trials=1 if smoke else RANDOM_TRIALS, videos=False)
    chance = evaluate((Arm("random", "random"),), few, out / "random", on_progress=tell)
    groups = [_group(suite, driven, chance, smoke) for suite in chosen]
    return [built, *groups, *_rows(driven)]


@dataclass(frozen=True)
class _Unit:
    task: str


def _reset(unit: _Unit) -> str:
    """What went wrong; nothing where nothing did."""
    try:
        env = make_env("libero", (unit.task,), SimConfig(cameras=()))
        env.reset([0], [Trial(unit.task, placement_seed("eval", 0), instructions("libero", unit.task)[0])])
        env.close()
    except VlaError as error:
        return str(error)
    return ""


def _group(suite: str, driven: EvalResult, chance: EvalResult, smoke: bool) -> Check:
    tasks = chosen_tasks("libero", (suite,))
    rows = [r for r in driven.table if r.task in tasks]
    random = [r for r in chance.table if r.task in tasks]
    done, tried = sum(r.successes for r in rows), sum(r.trials for r in rows)
    said = (
        f"{done}/{tried} of {len(rows)} tasks, {pictures_of('libero')}; random "
        f"{sum(r.successes for r in random)}/{sum(r.trials for r in random)}"
    )
    goal = GOALS.get(suite)
    shown = "shown" if goal is None else f">= {100 * goal:g}"
    return Check(
        f"{suite}: expert", 100 * done / tried, "%", shown, said, smoke or done >= (goal or 0) * tried
    )


def _rows(driven: EvalResult) -> list[Check]:
    return [
        Check(
            f"  {r.task}",
            100 * r.rate,
            "%",
            "shown",
            f"{r.successes}/{r.trials}, 95% {100 * r.low:.0f} … {100 * r.high:.0f}%",
            True,
        )
        for r in driven.table
        if r.task != "all"
    ]


def tell(progress: Progress) -> None:
    print(
        f"{progress.stage} {progress.done}/{progress.total} {progress.message}", file=sys.stderr, flush=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--trials", type=int, default=TRIALS)
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(
        partial(main, out=given.out, suites=tuple(given.suites.split(",")), trials=given.trials),
        "libero_tasks",
    )
