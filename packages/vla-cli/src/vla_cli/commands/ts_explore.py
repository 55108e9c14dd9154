"""`vla ts explore`: many codecs side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands.ts_codecs import SkipCorrupt
from vla_cli.output import hint
from vla_cli.parser import example


def register(app: typer.Typer) -> None:
    """Add the command to `vla ts`."""
    app.command("explore", epilog=example("vla ts explore --data runs/reach --out runs/codecs"))(explore)


def explore(
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="DATASET", help=f"{o.DATASET_HELP} May be repeated."),
    ],
    out: o.Out,
    split: o.Split = "train",
    workers: o.Workers = None,
    skip_corrupt: SkipCorrupt = False,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Sweep codecs over their settings; rates, errors and the distance to theory."""
    from vla_data import open_episodes
    from vla_ts.sweep import PRESETS, explore

    chosen = o.make_config(PRESETS, preset, config, set_)
    places = [o.locate(d) for d in data]
    sources = [open_episodes(place, split) for place in places]
    stages.run(
        "explore",
        out,
        {"sources": [stages.with_source(None, place, split) for place in places], "config": chosen},
        stages.input_stages(*places),
        lambda on: explore(sources, chosen, out, workers=workers, skip_corrupt=skip_corrupt, on_progress=on),
        as_json,
        tables=True,
    )
    hint(f"every figure: {out}/points.csv; plots: {out}/explore.html")
