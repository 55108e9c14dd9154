"""`vla data convert`: a data set in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vla_cli import options as o
from vla_cli.output import emit, print_pairs, print_table
from vla_cli.parser import example

if TYPE_CHECKING:
    from rich.console import Console

    from vla_data.conversion import Comparison, Conversion

SHOWN = 20  # episodes left out that are named
EXAMPLE = example("vla data convert data/bridge data/bridge_lerobot --to lerobot")


def register(app: typer.Typer) -> None:
    """Add the command to the group of `vla data`."""
    app.command("convert", epilog=EXAMPLE)(convert)


def convert(
    source: Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="New directory of the converted data set.")
    ],
    to: Annotated[Literal["lerobot", "rlds"], typer.Option("--to", help="Format to write.")] = "lerobot",
    images: Annotated[
        Literal["keep", "png", "jpeg", "video"],
        typer.Option("--images", help="keep and png lose nothing; video needs --to lerobot."),
    ] = "keep",
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME,...", help="Splits, separated by commas; default: all."),
    ] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", metavar="N", min=1, help="At most N episodes of each split.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name; default: the source's.")] = "",
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that write RLDS; default: one a core."),
    ] = None,
    engine: o.Engine = "pool",
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave out and count episodes that cannot be used.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read everything back and compare it.")
    ] = True,
    as_json: o.AsJson = False,
) -> None:
    """Write a data set anew as LeRobotDataset v3 or RLDS: arrays equal, images kept bit for bit."""
    from vla_cli.stages import resumable
    from vla_data.conversion import ConvertConfig
    from vla_data.conversion import convert as run

    splits = o.split_names(split) or ()
    config = ConvertConfig(to, images, splits, episodes, skip_corrupt, verify, name=name)
    with resumable(target) as on_progress:
        done = run(o.locate(source), target, config, workers, on_progress, engine=engine)
    emit(done, as_json, lambda to: _show(to, done))


def _show(to: Console, done: Conversion) -> None:
    skipped = [(split, s) for split, left in done.skipped.items() for s in left]
    splits = ", ".join(f"{name} {count:,}" for name, count in done.splits.items())
    pairs = {
        "data set": f"{done.name}, {done.format} at {done.target}",
        "episodes": f"{splits} ({done.steps:,} steps)",
        "size": f"{done.bytes / 1e6:,.1f} MB, of the source {done.source_bytes / 1e6:,.1f} MB",
        "left out": f"{len(skipped):,}",
        "compared": _compared(done.comparison) if done.comparison else "no (--no-verify)",
    }
    print_pairs(to, pairs)
    if skipped:
        to.print()
        rows = [(split, f"{s.index}", s.kind) for split, s in skipped[:SHOWN]]
        rows += [("…", "", f"and {len(skipped) - SHOWN} more")] if len(skipped) > SHOWN else []
        print_table(to, ("split", "episode", "left out because"), rows)


def _compared(c: Comparison) -> str:
    parts = [f"{c.arrays:,} arrays equal"]
    if c.equal_bytes:
        parts.append(f"{c.equal_bytes:,} of {c.frames:,} frames equal byte for byte")
    if c.equal_pixels:
        parts.append(f"{c.equal_pixels:,} of {c.frames:,} frames equal pixel for pixel")
    if c.psnr is not None:
        parts.append(f"the worst of the others at {c.psnr:.1f} dB")
    return ", ".join(parts)
