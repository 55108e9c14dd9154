"""`vla model midtrain`: one policy on many data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.parser import example

Mix = Annotated[
    str,
    typer.Argument(metavar="MIX", help="Mixture as of `vla data mixture`: a TOML or JSON file, or a preset."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `vla model`."""
    text = example("vla model midtrain mix.toml --out runs/midtrained --set switches.noise=false")
    app.command("midtrain", epilog=text)(midtrain)


def midtrain(
    mix: Mix,
    out: o.Out,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a policy on a mixture of data sets; `finetune --start OUT` goes on."""
    from vla_data.mixture import load_mixture
    from vla_model.midtraining import PRESETS, midtrain

    mixture = load_mixture(mix, o.locate)
    chosen = o.make_config(PRESETS, preset, config, set_, fit=o.given(device=device, seed=seed))
    stages.run(
        "midtrain",
        out,
        {"mixture": mixture, "config": chosen},
        stages.input_stages(*(d.uri for d in mixture.dataset)),
        lambda on: midtrain(mixture, chosen, out, on),
        as_json,
    )
