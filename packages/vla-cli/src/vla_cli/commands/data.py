"""`vla data`: episodes made, looked into and counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.output import emit, print_sections
from vla_cli.parser import example, make_group
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_data.sim.generate import GenerateConfig

app = make_group("Episodes: make them in simulation, look into data sets, compare their statistics.")

Uri = Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)]
Uris = Annotated[list[str], typer.Argument(metavar="DATASET", help=o.DATASET_HELP)]


@app.command(
    "generate", epilog=example("vla data generate metaworld --tasks reach --episodes 10 --out runs/reach")
)
def generate(
    sim: Annotated[str, typer.Argument(metavar="SIM", help="Simulator; see `vla sim list`.")],
    out: o.Out,
    tasks: o.Tasks = None,
    episodes: o.Episodes = None,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise", metavar="STD", min=0, help="Noise on executed actions; clean ones are recorded."
        ),
    ] = None,
    seed: o.Seed = None,
    workers: o.Workers = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Let scripted experts drive a simulator; keep the successes as an RLDS data set."""
    from vla_data.sim.generate import PRESETS

    given = {"sim": sim, "tasks": o.split_names(tasks), "episodes": episodes, "noise": noise, "seed": seed}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    stages.run("generate", out, chosen, [], lambda on: _generate(chosen, out, workers, on), as_json)


def _generate(
    config: GenerateConfig, out: Path, workers: int | None, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    """The data set, and a page that says what is in it."""
    from vla_data.explore import inspect
    from vla_data.report import Section, Table
    from vla_data.sim.generate import generate

    summary = generate(config, out, workers=workers, on_progress=on_progress)
    counts = tuple((task, str(n["episodes"]), str(n["attempts"])) for task, n in summary["tasks"].items())
    made = Section("Demonstrations", (Table(("task", "episodes", "attempts"), counts),))
    return summary, [made, *inspect(summary["directory"]).sections()]


@app.command("inspect", epilog=example("vla data inspect runs/reach"))
def inspect(uri: Uri, split: o.Split = "train", as_json: o.AsJson = False) -> None:
    """Show the data model of a data set: features, cameras, robot, action, lengths, language."""
    from vla_data.explore import inspect

    model = inspect(o.locate(uri), split)
    emit(model, as_json, lambda to: print_sections(to, model.sections()))


@app.command("stats", epilog=example("vla data stats runs/reach runs/drawer"))
def stats(uris: Uris, as_json: o.AsJson = False) -> None:
    """Compare data sets: cameras, resolutions, series, lengths, control rate, languages."""
    from vla_data.explore import sections, stats

    with progress() as on_progress:
        found = stats([o.locate(uri) for uri in uris], on_progress)
    emit(found, as_json, lambda to: print_sections(to, sections(found)))
