"""Groups whose commands are still to come, and what each will hold."""

from __future__ import annotations

import typer

from vla_cli.parser import make_group

PLANS = {
    "experiment": (
        "Matrices of training and evaluation runs (no command yet).",
        "To come: run, report.",
        "Today one run is one command, or all stages at once: vla quickstart",
    ),
}


def group(name: str) -> typer.Typer:
    """The group of this name, empty so far."""
    return make_group("\n\n".join(PLANS[name]))
