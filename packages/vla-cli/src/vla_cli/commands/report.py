"""`vla report`: the page of a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vla_cli.options import AsJson
from vla_cli.output import emit

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of any command.")]
Page = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="HTML file to write; default: RUN/report.html.")
]


def report(run: Run, out: Page = None, as_json: AsJson = False) -> None:
    """Write the page of a run directory: one HTML file with its tables, plots and videos."""
    from vla_data.errors import DataError
    from vla_data.report import write_page
    from vla_data.runs import load_run_sections

    sections = load_run_sections(run) if run.is_dir() else []
    if not sections:
        raise DataError(
            "no finished stage is here" if run.is_dir() else "there is no such directory",
            where=str(run),
            expected="a directory that a vla command wrote to with --out",
            next_step="make one: vla quickstart --out runs/quickstart",
        )
    path = out or run / "report.html"
    write_page(path, run.resolve().name, sections)
    size = path.stat().st_size
    result = {"page": str(path), "sections": [s.title for s in sections], "bytes": size}
    emit(result, as_json, lambda to: to.print(str(path), soft_wrap=True))
