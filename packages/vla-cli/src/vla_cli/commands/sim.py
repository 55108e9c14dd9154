"""`vla sim`: simulators and their tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vla_cli.options import AsJson
from vla_cli.output import emit, hint, print_pairs, print_table
from vla_cli.parser import example, make_group

app = make_group("Simulators: what there is to do in them, and what they need.")

Sim = Annotated[str | None, typer.Argument(metavar="SIM", help="One simulator; default: all of them.")]


@app.command("list", epilog=example("vla sim list metaworld"))
def list_tasks(sim: Sim = None, as_json: AsJson = False) -> None:
    """List the tasks of the simulators, each with its instruction."""
    from vla_data.errors import MissingDependencyError
    from vla_data.sim import SIMS, instructions, task_names

    rows: list[dict[str, str]] = []
    for name in [sim] if sim else sorted(SIMS):
        try:
            said = {task: instructions(name, task, "train")[0] for task in task_names(name)}
        except MissingDependencyError as error:
            if sim:
                raise
            hint(f"{name}: {error}")
            continue
        rows += [{"sim": name, "task": task, "instruction": words} for task, words in said.items()]
    cells = [[row["sim"], row["task"], row["instruction"]] for row in rows]
    emit(rows, as_json, lambda to: print_table(to, ["simulator", "task", "instruction"], cells))


@app.command("setup", epilog=example("vla sim setup libero"))
def setup(
    sim: Annotated[Literal["libero"], typer.Argument(metavar="SIM", help="The one that needs it: libero.")],
    assets: Annotated[
        Path | None, typer.Option("--assets", metavar="DIR", help="A copy that is here; default: fetch one.")
    ] = None,
    revision: Annotated[str, typer.Option("--revision", help="Of the repository on the hub.")] = "main",
    as_json: AsJson = False,
) -> None:
    """Get the meshes and textures that a simulator comes without, and remember where they are."""
    from vla_cli.progress import progress
    from vla_data.sim.libero_assets import setup_libero

    with progress() as on_progress:
        found = setup_libero(assets, revision=revision, on_progress=on_progress)
    emit(found, as_json, lambda to: print_pairs(to, found))
