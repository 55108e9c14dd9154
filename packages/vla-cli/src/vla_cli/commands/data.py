"""`vla data`: episodes made, looked into and counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import (
    data_convert,
    data_download,
    data_explore,
    data_label,
    data_mixture,
    data_openx_list,
    robots,
)
from vla_cli.parser import example, make_group

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_data.sim.generate import GenerateConfig

app = make_group("Episodes: make them in simulation, look into data sets, compare their statistics.")

data_explore.register(app)
data_download.register(app)
data_openx_list.register(app)
data_label.register(app)
data_convert.register(app)
data_mixture.register(app)
app.command("record", epilog=robots.RECORD_EXAMPLE)(robots.record)


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
    labels: Annotated[
        bool | None,
        typer.Option("--labels", help="Record depth, and boxes, masks and velocities of the objects, too."),
    ] = None,
    seed: o.Seed = None,
    workers: o.Workers = None,
    engine: o.Engine = "pool",
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Let scripted experts drive a simulator; keep the successes as an RLDS data set."""
    from vla_data.sim.generate import PRESETS, USUAL

    preset = USUAL.get(sim, preset) if preset == "default" else preset
    given = {"sim": sim, "tasks": o.split_names(tasks), "episodes": episodes, "noise": noise, "seed": seed}
    chosen = o.make_config(PRESETS, preset, config, set_, **given, labels=labels)
    stages.run("generate", out, chosen, [], lambda on: _generate(chosen, out, workers, engine, on), as_json)


def _generate(
    config: GenerateConfig, out: Path, workers: int | None, engine: str, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    """The data set, and a page that says what is in it."""
    from vla_data.explore import inspect
    from vla_data.report import Section, Table
    from vla_data.sim.generate import generate

    summary = generate(config, out, workers=workers, engine=engine, on_progress=on_progress)
    counts = tuple((task, str(n["episodes"]), str(n["attempts"])) for task, n in summary["tasks"].items())
    made = Section("Demonstrations", (Table(("task", "episodes", "attempts"), counts),))
    return summary, [made, *inspect(summary["directory"]).sections()]
