"""`vla doctor`: what this machine has, and what mends the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vla_cli.options import AsJson
from vla_cli.output import emit

if TYPE_CHECKING:
    from rich.console import Console

    from vla_cli.diagnosis import Finding

STYLES = {"ok": "green", "missing": "bold red", "optional": "yellow"}


def doctor(as_json: AsJson = False) -> None:
    """Check Python, packages, OpenGL, GPU, disk, memory, data and assets.

    Exit code 4 when something that the quick start needs is missing.
    """
    from vla_cli.diagnosis import diagnose
    from vla_data.errors import EXIT_ENVIRONMENT

    findings = diagnose()
    ready = all(f.state != "missing" for f in findings)
    emit({"ready": ready, "findings": findings}, as_json, lambda to: _show(to, findings, ready))
    if not ready:
        raise typer.Exit(EXIT_ENVIRONMENT)


def _show(to: Console, findings: list[Finding], ready: bool) -> None:
    section = ""
    for f in findings:
        if f.section != section:
            to.print(f.section if not section else f"\n{f.section}", style="bold")
            section = f.section
        to.print(f"  {f.state:<8}", style=STYLES[f.state], end="")
        to.print(f"  {f.name:<22}  {f.value}", soft_wrap=True)
        if f.fix:
            to.print(f"{'':12}mend it: {f.fix}", soft_wrap=True)
    to.print()
    to.print("ready: vla quickstart" if ready else "not ready: mend what is missing above", style="bold")
