"""Two policies on the same placements until they can be told apart, or enough were tried.

After every block of placements the trials so far are judged by a p that holds however often one looks
(`vla_model.statistics.anytime_p`): two policies that differ much are told apart by few trials, and looking on
the way costs nothing of the error that was allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vla_data.charts import Line, LineChart
from vla_data.errors import ConfigError
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Section, Table, Text
from vla_model.driving import BLOCK
from vla_model.eval_config import Arm, EvalConfig, TrialRecord
from vla_model.eval_report import protocol
from vla_model.evaluate import EvalResult, evaluate
from vla_model.statistics import Pairs, anytime_p, newcombe_interval

SURE = 0.05


def duel(
    first: Arm,
    second: Arm,
    config: EvalConfig,
    out: Path,
    *,
    sure: float = SURE,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Try both until p is at most `sure`, or each task was tried `config.trials` times.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        ConfigError: `sure` is not in (0, 1).
        As `evaluate`.
    """
    if not 0 < sure < 1:
        raise ConfigError("nothing can be that sure", where="sure", expected="in (0, 1)", got=f"{sure:g}")
    path: list[tuple[int, float]] = []
    result, trials = None, 0
    while trials < config.trials and (not path or path[-1][1] > sure):
        trials = min(trials + BLOCK, config.trials)
        now = replace(config, trials=trials, videos=False)
        result = evaluate((first, second), now, out, workers=workers, on_progress=on_progress)
        one, other = _outcomes(result, first, second)
        path.append((len(one), anytime_p(one, other)))
        on_progress(Progress("duel", len(one), None, "placements", metrics={"p": path[-1][1]}))
    assert result is not None, "an evaluation has at least one trial"
    return _told(first, second, replace(config, trials=trials), _outcomes(result, first, second), path, sure)


def _outcomes(result: EvalResult, first: Arm, second: Arm) -> tuple[list[bool], list[bool]]:
    """Of both, trial by trial in the order of placements; those that could not be judged left out."""
    one, other = (_by_trial(result.records[arm.name]) for arm in (first, second))
    shared = sorted(one.keys() & other.keys())
    return [one[k] for k in shared], [other[k] for k in shared]


def _by_trial(records: Sequence[TrialRecord]) -> dict[tuple[int, str], bool]:
    return {(r.index, r.task): r.success for r in records if not r.error}


def _told(
    first: Arm,
    second: Arm,
    config: EvalConfig,
    outcomes: tuple[list[bool], list[bool]],
    path: Sequence[tuple[int, float]],
    sure: float,
) -> tuple[dict[str, Any], list[Section]]:
    one, other = outcomes
    pairs = Pairs.of(one, other)
    low, high = newcombe_interval(pairs)
    difference = (sum(one) - sum(other)) / max(1, len(one))
    told_apart = path[-1][1] <= sure
    better = (first if difference > 0 else second).name if told_apart else None
    summary = {
        "placements": len(one),
        first.name: sum(one),
        second.name: sum(other),
        "p": path[-1][1],
        "better": better,
        "difference": round(difference, 4),
        "interval": [round(low, 4), round(high, 4)],
    }
    verdict = f"{better} is better" if better else "they cannot be told apart by so many"
    said = (
        f"After {len(one)} placements {verdict} (p {path[-1][1]:.2g}, which holds however often one looks; "
        f"asked for {sure:g}). {protocol((first, second), config)}"
    )
    rows = (
        (first.name, f"{sum(one)}/{len(one)}"),
        (second.name, f"{sum(other)}/{len(one)}"),
        ("difference, points", f"{100 * difference:+.1f}"),
        ("95% as if the number had been fixed", f"{100 * low:+.1f} … {100 * high:+.1f}"),
    )
    line = Line("p", tuple(float(n) for n, _ in path), tuple(max(p, 1e-12) for _, p in path))
    chart = LineChart("p after so many placements", (line,), x_label="placements", log_y=True)
    return summary, [Section("Duel", (Text(said), Table(("", ""), rows), chart))]
