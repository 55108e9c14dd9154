"""`vla model align | ask`: encoders and the language model brought together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.output import emit
from vla_cli.parser import example

EXAMPLE = example(
    "vla model align --data runs/scenes --encoder runs/encoder --start runs/lm --out runs/aligned"
)

ASK_EXAMPLE = example('vla model ask runs/aligned "How many things are there?" --data runs/scenes')


def register(app: typer.Typer) -> None:
    """Add the commands to `vla model`."""
    app.command("align", epilog=EXAMPLE)(align)
    app.command("ask", epilog=ASK_EXAMPLE)(ask)


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


def ask(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run of `vla model align`.")],
    question: Annotated[list[str], typer.Argument(metavar="QUESTION...", help="What to ask.")],
    data: o.Data,
    episode: Annotated[int, typer.Option("--episode", metavar="N", min=0, help="Number in its split.")] = 0,
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", min=0, help="Of the episode; default: the last.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="NAME", help="Default: the first one.")
    ] = None,
    split: o.Split = "train",
    as_json: o.AsJson = False,
) -> None:
    """Ask an aligned model about what a camera of an episode sees."""
    from vla_data import open_episodes
    from vla_data.usable import episode_at
    from vla_model.align.asking import Asker

    chosen = episode_at(open_episodes(o.locate(data), split), episode)
    at = len(chosen) - 1 if step is None else step
    asker = Asker.load(run)
    seen = asker.look(chosen, camera or sorted(chosen.images)[0], at)
    answers = [{"question": q, "answer": asker.ask(seen, q)} for q in question]
    told = "\n".join(f"{a['question']} {a['answer']}" for a in answers)
    emit(answers, as_json, lambda to: to.print(told, markup=False))
