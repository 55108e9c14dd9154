"""`vla data mixture`: a mixture of data sets, tried out before a training run depends on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli.output import emit, print_sections
from vla_cli.parser import example
from vla_cli.progress import progress

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="TOML or JSON file: [[dataset]] tables with uri and weight; or a preset: oxe_magic_soup, …",
    ),
]
Samples = Annotated[
    int, typer.Option("--samples", metavar="N", min=1, help="Samples to read, with all their images.")
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out, and count, what cannot be read or used.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `vla data`."""
    app.command("mixture", epilog=example("vla data mixture mix.toml --samples 2000"))(mixture)


def mixture(
    file: File,
    samples: Samples = 1000,
    workers: o.Workers = None,
    seed: o.Seed = None,
    skip_corrupt: SkipCorrupt = False,
    as_json: o.AsJson = False,
) -> None:
    """Show what a mixture draws from, in which shares; read samples and time it."""
    from vla_data.mixture import Mixture, load_mixture
    from vla_data.mixture.trial import try_mixture

    config = load_mixture(file, o.locate)
    config = replace(config, seed=config.seed if seed is None else seed)
    if skip_corrupt:
        config = replace(config, dataset=tuple(replace(d, skip=True) for d in config.dataset))
    with progress() as on_progress:
        opened = Mixture.open(config, on_progress=on_progress)
        found = try_mixture(opened, samples, workers=workers, on_progress=on_progress)
    emit(found, as_json, lambda to: print_sections(to, found.sections()))
