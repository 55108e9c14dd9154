"""`vla experiment`: matrices of whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.parser import example, make_group

app = make_group("Matrices of whole runs, from demonstrations to success.")


@app.command("run", epilog=example("vla experiment run heads.toml --out runs/heads"))
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Name, settings and axes, in TOML.")],
    out: o.Out,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
) -> None:
    """Run every combination of an experiment's values; stages that runs share are done once."""
    from vla_model.experiments.matrix import read_experiment
    from vla_model.experiments.running import run_experiment

    chosen = read_experiment(file)
    stages.run(
        "experiment",
        out,
        chosen,
        [],
        lambda on: run_experiment(chosen, out, workers=workers, on_progress=on),
        as_json,
        tables=True,
    )
