"""`vla model align`: encoders and the language model brought together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.parser import example

EXAMPLE = example(
    "vla model align --data runs/scenes --encoder runs/encoder --start runs/lm --out runs/aligned"
)


def register(app: typer.Typer) -> None:
    """Add the command to `vla model`."""
    app.command("align", epilog=EXAMPLE)(align)


def align(
    data: o.Data,
    encoder: Annotated[
        Path, typer.Option("--encoder", metavar="DIR", help="Run of `vla vision train-encoder`.")
    ],
    start: Annotated[
        Path, typer.Option("--start", metavar="DIR", help="Run of `vla model pretrain` or `instruct`.")
    ],
    out: o.Out,
    blind: Annotated[
        bool, typer.Option("--blind", help="Leave the pictures out: what words alone can win.")
    ] = False,
    workers: o.Workers = None,
    split: o.Split = "train",
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Teach a language model to answer about labelled scenes it is shown; writes OUT/scene."""
    from vla_data import open_episodes
    from vla_model.align.config import PRESETS
    from vla_model.align.training import align

    fit = o.given(seed=seed)
    chosen = o.make_config(PRESETS, preset, config, set_, blind=blind or None, first=fit, both=fit)
    data = o.locate(data)
    source = open_episodes(data, split)
    stages.run(
        "align",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data, encoder, start),
        lambda on: align(source, encoder, start, chosen, out, on, workers=workers),
        as_json,
    )
