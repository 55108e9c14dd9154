"""`vla quickstart`: every stage in order, on small defaults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli.output import emit, hint, print_table
from vla_cli.progress import duration
from vla_cli.stages import resumable

if TYPE_CHECKING:
    from rich.console import Console

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Directory of the run; the same one again resumes.")
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="A short run that only shows that it works: --preset smoke.")
]
EvalEpisodes = Annotated[
    int | None, typer.Option("--eval-episodes", metavar="N", min=1, help="Evaluation episodes per task.")
]


def quickstart(
    out: Out = Path("runs/quickstart"),
    smoke: Smoke = False,
    tasks: o.Tasks = None,
    episodes: o.Episodes = None,
    eval_episodes: EvalEpisodes = None,
    device: o.Device = None,
    seed: o.Seed = None,
    workers: o.Workers = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Demonstrate, train and evaluate a policy in simulation, from nothing to one page."""
    from vla_cli.quickstart import PRESETS, run

    fit = o.given(fit=o.given(device=device))
    parts = {"codec": fit, "policy": fit, "generate": o.given(episodes=episodes)}
    parts["evaluation"] = o.given(trials=eval_episodes)
    preset = "smoke" if smoke else preset
    chosen = o.make_config(PRESETS, preset, config, set_, tasks=o.split_names(tasks), seed=seed, **parts)
    with resumable(out) as on_progress:
        summary = run(chosen, out, workers=workers, on_progress=on_progress)
    emit(summary, as_json, lambda to: _show(to, summary))
    hint(f"page: {summary['report']}")


def _show(to: Console, summary: dict[str, Any]) -> None:
    """Success per task beside the baselines, then the time of each stage."""
    names = [*summary["tasks"], "all"]
    rows = [
        [arm, *(str(counts.get(name, "")) for name in names), f"{100 * counts['rate']:.0f}%"]
        for arm, counts in summary["success"].items()
    ]
    print_table(to, ["successes / trials", *names, "rate"], rows)
    done = [
        [s["name"], duration(s["seconds"]), "up to date" if s["skipped"] else ""] for s in summary["stages"]
    ]
    print_table(to, ["stage", "time", ""], [*done, ["all", duration(summary["seconds"]), ""]])
