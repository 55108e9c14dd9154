"""`vla model`: policies trained on episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import model_align, model_lm, model_midtrain
from vla_cli.parser import example, make_group

app = make_group("Language models and policies: train them on text and episodes.")
model_lm.register(app)
model_align.register(app)
model_midtrain.register(app)

Codec = Annotated[
    Path | None,
    typer.Option(
        "--codec",
        metavar="DIR",
        help="Codec of `vla ts fit-vqvae` or `fit`; needed by heads that speak codes.",
    ),
]
Head = Annotated[
    Literal["codes", "parallel", "continuous", "flow"] | None,
    typer.Option("--head", help="Answers: codes of the codec one by one or all at once, numbers, a flow."),
]


Start = Annotated[
    Path | None,
    typer.Option("--start", metavar="DIR", help="Run of `vla model midtrain` whose weights to begin with."),
]


@app.command(
    "finetune",
    epilog=example("vla model finetune --data runs/reach --codec runs/codec --out runs/policy"),
)
def finetune(
    data: o.Data,
    out: o.Out,
    codec: Codec = None,
    head: Head = None,
    start: Start = None,
    split: o.Split = "train",
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a policy from pixels, state and instruction; writes OUT/checkpoint."""
    from vla_data import open_episodes
    from vla_model.finetuning import PRESETS, finetune

    fit = o.given(device=device, seed=seed)
    chosen = o.make_config(PRESETS, preset, config, set_, policy=o.given(head=head), fit=fit)
    data = o.locate(data)
    source = open_episodes(data, split)
    stages.run(
        "finetune",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data, *(d for d in (codec, start) if d)),
        lambda on: finetune(source, chosen, codec, out, on, start),
        as_json,
    )
