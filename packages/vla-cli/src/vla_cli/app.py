"""The whole of `vla`: groups and top-level commands wired together, nothing else."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.completion import get_completion_inspect_parameters, install_callback, show_callback

from vla_cli.commands import (
    data,
    doctor,
    evaluation,
    experiment,
    model,
    prompt,
    quickstart,
    report,
    serve,
    sim,
    ts,
    vision,
)
from vla_cli.main import version_text
from vla_cli.parser import CONTEXT, Group, example

EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 usage or unknown name, 3 data or checkpoint,
4 environment or missing dependency, 130 interrupted.

Results go to standard output (one JSON document with --json), progress and hints to standard error.
--debug may stand anywhere; VLA_DEBUG=1 does the same."""

app = typer.Typer(
    name="vla",
    cls=Group,
    context_settings=CONTEXT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    add_completion=False,  # its own two options are below: as typer defines them, every run imports pydantic
)
get_completion_inspect_parameters()  # also registers the shells


Version = Annotated[bool, typer.Option("--version", help="Show the version; with --json, of every package.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and more of the log.")]
Install = Annotated[
    bool,
    typer.Option(
        "--install-completion",
        callback=install_callback,
        is_eager=True,
        help="Install completion for the current shell.",
    ),
]
Show = Annotated[
    bool,
    typer.Option(
        "--show-completion",
        callback=show_callback,
        is_eager=True,
        help="Show the completion script of the current shell.",
    ),
]


@app.callback()
def vla(version: Version = False, debug: Debug = False, install: Install = False, show: Show = False) -> None:
    """From robot data to a driving policy: data, series codec, vision, policy, evaluation."""
    if version:
        typer.echo(version_text(as_json=False))
        raise typer.Exit


app.command("quickstart", epilog=example("vla quickstart --out runs/first"))(quickstart.quickstart)
app.command("doctor")(doctor.doctor)
app.command("report", epilog=example("vla report runs/first"))(report.report)
for name, group in (
    ("data", data.app),
    ("vision", vision.app),
    ("ts", ts.app),
    ("model", model.app),
    ("prompt", prompt.app),
    ("eval", evaluation.app),
    ("experiment", experiment.app),
    ("serve", serve.app),
    ("sim", sim.app),
):
    app.add_typer(group, name=name)
