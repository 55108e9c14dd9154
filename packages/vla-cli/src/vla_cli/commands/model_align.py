"""`vla model align`: encoders and the language model brought together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    start: Annotated[
        Path, typer.Option("--start", metavar="DIR", help="Run of `vla model pretrain` or `instruct`.")
    ],
    out: o.Out,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATASET", help="Labelled scenes to be asked about.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option("--encoder", metavar="DIR", help="Run of `vla vision train-encoder`.")
    ] = None,
    series: Annotated[
        bool, typer.Option("--series", help="Align a series encoder, on questions about made-up series.")
    ] = False,
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
    """Teach a language model to answer about labelled scenes (OUT/scene), or series (OUT/series)."""
    fit, changes = o.given(seed=seed), (preset, config, set_)
    if series:
        _series(start, out, changes, fit, as_json)
        return
    if data is None or encoder is None:
        raise typer.BadParameter("aligning a video encoder needs --data and --encoder; or give --series")
    from vla_data import open_episodes
    from vla_model.align.config import PRESETS
    from vla_model.align.training import align

    chosen = o.make_config(PRESETS, *changes, blind=blind or None, first=fit, both=fit)
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


def _series(start: Path, out: Path, changes: tuple[Any, Any, Any], fit: Any, as_json: bool) -> None:
    from vla_model.align.series import PRESETS, align_series

    chosen = o.make_config(PRESETS, *changes, first=fit, both=fit)
    inputs = stages.input_stages(start)
    stages.run("align", out, chosen, inputs, lambda on: align_series(start, chosen, out, on), as_json)
