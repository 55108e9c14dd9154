"""Which offline metrics go with success in the closed loop?

Twelve independent trainings of the compact policy: three sizes of data set, two lengths of training, two
seeds; each is asked about held-out demonstrations (error of chunks, of first actions, of where they lead,
direction, grippers) and tried in the closed loop. Pearson's r over the runs with intervals by resampling
runs. Peer: the loss of training itself. Nothing has to be reached: what is said is how much to trust each.

`--out DIR` keeps every stage; an interrupted call goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from _frame import Check, run_in
from _weights import CACHE
from vla_data.protocols import Progress
from vla_model.experiments.matrix import Experiment
from vla_model.experiments.running import run_experiment

TASKS = ["reach", "drawer-open", "door-open"]
FULL = Experiment(
    name="which metrics go with success",
    set={
        "generate.tasks": TASKS,
        "policy.policy.head": "continuous",
        "policy.fit.warmup_steps": 50,
        "evaluation.trials": 20,
    },
    axes={
        "generate.episodes": [5, 20, 60],
        "policy.fit.steps": [300, 1500],
        "policy.fit.seed": [0, 1],
    },
)
SMOKE = Experiment(
    name="smoke",
    preset="debug",
    set={"policy.policy.head": "continuous", "evaluation.trials": 1},
    axes={"policy.fit.seed": [0, 1]},
)
RUNS, METRICS = 12, 3


def main(smoke: bool, out: Path) -> list[Check]:
    """Train, ask, try, relate."""
    summary, _ = run_experiment(SMOKE if smoke else FULL, out, on_progress=_tell)
    found = summary["goes_with_success"]
    wins = [r["successes"] / r["trials"] for r in summary["results"]]
    spread = f"success {100 * min(wins):.0f} … {100 * max(wins):.0f}%"
    runs = Check(
        "independent training runs",
        summary["runs"],
        "",
        f">= {RUNS}",
        spread,
        smoke or summary["runs"] >= RUNS,
    )
    enough = Check(
        "offline metrics with an interval",
        len(found),
        "",
        f">= {METRICS}",
        "",
        smoke or len(found) >= METRICS,
    )
    loss = found.get("training loss")
    peer = f"loss of training r {loss['r']:+.2f}" if loss else ""
    told = [
        Check(
            f"r of {name.replace('_', ' ')} with success",
            f["r"],
            "",
            "shown",
            f"95% {f['interval'][0]:+.2f} … {f['interval'][1]:+.2f}, {f['runs']} runs; {peer}",
            True,
        )
        for name, f in found.items()
    ]
    return [runs, enough, *told]


def _tell(progress: Progress) -> None:
    print(f"{progress.done:g}/{progress.total or 0:g} {progress.message}", file=sys.stderr)


if __name__ == "__main__":
    run_in(main, "metric_correlation", CACHE / "metric_correlation")
