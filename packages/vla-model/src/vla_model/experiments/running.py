"""Running an experiment: each distinct stage once, in parallel, and one page over all runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_data.charts import BarChart, Bars
from vla_data.pool import map_units
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Block, Section, Table, Text
from vla_data.runs import Manifest, run_stage
from vla_data.sim import gl
from vla_model.experiments.matrix import Experiment, Run, runs_of
from vla_model.experiments.recipe import KINDS, Step, stage_of, steps_of
from vla_model.statistics import correlation, wilson_interval

STAGES = ".stages"  # hidden, so that the manifest of an experiment is of its page alone
ENOUGH = 5  # runs below which nothing is said of what goes with success


def run_experiment(
    experiment: Experiment,
    out: Path,
    *,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Run what is not done yet; a summary of plain values, and the sections of the experiment's page.

    Raises:
        ConfigError, UnknownNameError: a run's configuration makes no sense.
        DataError: a directory holds a stage of another configuration.
    """
    runs = runs_of(experiment)
    steps = {run.number: steps_of(run.recipe, out / STAGES) for run in runs}
    gl.use_backend()  # once here, so that the workers inherit the answer
    distinct = {kind: _distinct(kind, steps.values()) for kind in KINDS}
    done, total = 0, sum(map(len, distinct.values()))
    for kind in KINDS:
        on_progress(Progress("experiment", done, total, "stages", message=f"{len(distinct[kind])} × {kind}"))
        for step, _ in map_units(_carry_out, distinct[kind], workers):
            done += 1
            on_progress(Progress("experiment", done, total, "stages", message=str(step)))
    rows = [_row(run, steps[run.number]) for run in runs]
    related = _related(rows)
    summary = {"runs": len(runs), "stages": total, "results": rows, "goes_with_success": related}
    return summary, _page(experiment, rows, related)


def _distinct(kind: str, runs: Any) -> list[Step]:
    return list({s[kind].directory: s[kind] for s in runs if kind in s}.values())


def _carry_out(step: Step) -> None:
    import torch

    torch.set_num_threads(1)
    run_stage(stage_of(step))


def _row(run: Run, steps: Mapping[str, Step]) -> dict[str, Any]:
    """The values of a run's axes, its metrics, and its success."""
    read = {kind: Manifest.load(Path(step.directory)).summary for kind, step in steps.items()}
    counts = read["evaluation"]["policy"]["all"]
    successes, trials = map(int, counts.split("/"))
    low, high = wilson_interval(successes, trials)
    metrics = {k: v for k, v in read["offline"].items() if k != "moments" and v is not None}
    metrics |= {f"training {k.replace('_', ' ')}": v for k, v in read["policy"].items() if k in _TRAINED}
    return {
        "run": run.number,
        "values": dict(run.values),
        "metrics": metrics,
        "successes": successes,
        "trials": trials,
        "interval": [round(low, 4), round(high, 4)],
        "train_seconds": round(Manifest.load(Path(steps["policy"].directory)).seconds, 1),
    }


_TRAINED = ("loss", "code_accuracy")


def _related(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How each metric goes with success over the runs; none below `ENOUGH` runs."""
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    found = {}
    for name in names:
        some = [r for r in rows if name in r["metrics"]]
        if len(some) < ENOUGH:
            continue
        measured = [float(r["metrics"][name]) for r in some]
        value, low, high = correlation(measured, [r["successes"] / r["trials"] for r in some])
        if not math.isnan(value):
            found[name] = {
                "r": round(value, 3),
                "interval": [round(low, 3), round(high, 3)],
                "runs": len(some),
            }
    return found


def _page(
    experiment: Experiment, rows: Sequence[Mapping[str, Any]], related: Mapping[str, Any]
) -> list[Section]:
    axes = list(experiment.axes)
    short = [key.rpartition(".")[2] for key in axes]
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    columns = ("run", *short, "success", "95%", *(n.replace("_", " ") for n in names), "training, s")
    cells = tuple(
        (
            str(row["run"]),
            *(str(row["values"][key]) for key in axes),
            f"{row['successes']}/{row['trials']}",
            f"{100 * row['interval'][0]:.0f}–{100 * row['interval'][1]:.0f}%",
            *(f"{row['metrics'][n]:.3g}" if n in row["metrics"] else "—" for n in names),
            f"{row['train_seconds']:.0f}",
        )
        for row in rows
    )
    bars = Bars(
        "success",
        tuple(100 * r["successes"] / r["trials"] for r in rows),
        tuple(100 * r["interval"][0] for r in rows),
        tuple(100 * r["interval"][1] for r in rows),
    )
    labels = tuple(str(r["run"]) for r in rows)
    chart = BarChart(
        "Success by run, Wilson 95% intervals", labels, (bars,), y_label="success, %", y_max=100.0
    )
    return [
        Section(f"Experiment: {experiment.name}", (Table(columns, cells), chart)),
        Section("What goes with success", _told(related)),
    ]


def _told(related: Mapping[str, Any]) -> tuple[Block, ...]:
    if not related:
        return (Text(f"Fewer than {ENOUGH} runs that differ: nothing can be said."),)
    note = (
        "Pearson's correlation of each metric with the rate of success over the runs; intervals by "
        "resampling runs (95%, percentiles). Trials of one run are few: what they scatter makes every "
        "correlation smaller."
    )
    cells = tuple(
        (
            name.replace("_", " "),
            f"{found['r']:+.2f}",
            f"{found['interval'][0]:+.2f} … {found['interval'][1]:+.2f}",
            str(found["runs"]),
        )
        for name, found in related.items()
    )
    return Text(note), Table(("metric", "r", "95%", "runs"), cells)
