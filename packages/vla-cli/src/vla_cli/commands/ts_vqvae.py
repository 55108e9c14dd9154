"""`vla ts fit-vqvae`: a learnt codec, for one data set or for several robots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands.ts_codecs import Hz, Series, SkipCorrupt
from vla_cli.parser import example

if TYPE_CHECKING:
    from vla_data.protocols import EpisodeSource


def register(app: typer.Typer) -> None:
    """Add the command to `vla ts`."""
    app.command("fit-vqvae", epilog=example("vla ts fit-vqvae --data runs/reach --out runs/codec"))(fit_vqvae)


def fit_vqvae(
    out: o.Out,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="DATASET", help=f"{o.DATASET_HELP} Repeated: one codec for all."),
    ] = None,
    mixture: Annotated[
        str | None,
        typer.Option("--mixture", metavar="FILE", help="File of a mixture: its data sets, by their weights."),
    ] = None,
    split: o.Split = "train",
    quantizer: Annotated[
        Literal["vq", "residual_vq", "fsq", "lfq"] | None,
        typer.Option("--quantizer", help="Learnt codebooks, grids or signs; default: residual_vq."),
    ] = None,
    codebook_size: Annotated[
        int | None, typer.Option("--codebook-size", metavar="N", min=2, help="Codes per level; default: 128.")
    ] = None,
    levels: Annotated[
        int | None, typer.Option("--levels", metavar="N", min=1, help="Codes per chunk; default: 3.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", metavar="N", min=1, help="Steps in a chunk; default: 16.")
    ] = None,
    series: Series = "action",
    hz: Hz = None,
    device: o.Device = None,
    seed: o.Seed = None,
    skip_corrupt: SkipCorrupt = False,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Fit a VQ-VAE to the chunks of a data set, or one for several robots."""
    from vla_ts import fit_vqvae
    from vla_ts.fit import PRESETS

    places, shares = _places(data, mixture, split)
    given = {"quantizer": quantizer, "codebook_size": codebook_size, "levels": levels}
    given |= {"action_horizon": horizon, "series": series if series != "action" else None, "hz": hz}
    given |= {"shares": shares, "fit": o.given(device=device, seed=seed)}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    sources = _open(places)
    stages.run(
        "fit-vqvae",
        out,
        _identity(chosen, places),
        stages.input_stages(*(place for place, _ in places)),
        lambda on: fit_vqvae(sources, chosen, out, on, skip_corrupt=skip_corrupt),
        as_json,
    )


def _places(
    data: list[str] | None, mixture: str | None, split: str
) -> tuple[list[tuple[str, str]], tuple[float, ...] | None]:
    """(data set, split) of each source, and their shares where a mixture gives them."""
    from vla_data.errors import ConfigError

    if bool(data) == bool(mixture):
        raise ConfigError(
            "data sets or a mixture of them", expected="--data, once or more; or --mixture FILE"
        )
    if mixture is None:
        return [(o.locate(d), split) for d in data or ()], None
    from vla_data.mixture import load_mixture

    datasets = load_mixture(mixture, o.locate).dataset
    return [(d.uri, d.split) for d in datasets], tuple(d.weight for d in datasets)


def _open(places: list[tuple[str, str]]) -> list[EpisodeSource]:
    from vla_data import open_episodes

    return [open_episodes(place, split) for place, split in places]


def _identity(chosen: Any, places: list[tuple[str, str]]) -> dict[str, Any]:
    """A stage's whole configuration; see `stages.with_source`."""
    if len(places) == 1:
        return stages.with_source(chosen, *places[0])
    return {"sources": [stages.with_source(None, *place) for place in places], "config": chosen}
