"""`vla vision train-encoder | encode`: frames into tokens that a language model reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import frames as f
from vla_cli.output import emit, plain_value, print_pairs, print_table
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from vla_vision.encoder import Video
    from vla_vision.perception import Sight, SightConfig

TRAIN_EXAMPLE = example(
    "vla vision train-encoder --data runs/seen --detector runs/detector --out runs/encoder"
)
ENCODE_EXAMPLE = example("vla vision encode walk.mp4 --weights runs/encoder --out walk-tokens.npz")
NOTHING = "none"

Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="PATH",
        help="Weights, as of `vla vision detect`; `labels`: boxes of labelled episodes; `none`.",
    ),
]
Depth = Annotated[
    str | None,
    typer.Option(
        "--depth",
        metavar="PATH",
        help="Weights, as of `vla vision depth`; `sensor`: an episode's own; `none`.",
    ),
]
Parts = Annotated[
    Literal["objects", "patches", "both"] | None,
    typer.Option("--parts", help="What tokens stand for; default: both."),
]
Weights = Annotated[
    str, typer.Option("--weights", metavar="PATH", help="Run of `vla vision train-encoder`, or its encoder.")
]
TokenFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="A .npz or .safetensors file.")]
EpisodeChoice = Annotated[
    int | None, typer.Option("--episode", metavar="N", min=0, help="Of a data set; default: all.")
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out and count episodes that cannot be used.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla vision`."""
    app.command("train-encoder", epilog=TRAIN_EXAMPLE)(train_encoder)
    app.command("encode", epilog=ENCODE_EXAMPLE)(encode)


def train_encoder(
    data: o.Data,
    out: o.Out,
    split: o.Split = "train",
    detector: Detector = None,
    depth: Depth = None,
    cameras: Annotated[
        list[str] | None, typer.Option("--cameras", metavar="NAME,...", help="Cameras; default: all.")
    ] = None,
    parts: Parts = None,
    workers: o.Workers = None,
    skip_corrupt: SkipCorrupt = False,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a video encoder on episodes, without labels: tokens must suffice to make the frames again."""
    from vla_data import open_episodes
    from vla_vision.encoder import train_encoder
    from vla_vision.encoder.train_config import PRESETS

    sight = o.given(detector=None if detector == NOTHING else detector, depth=depth)
    given = {"sight": sight, "cameras": o.split_names(cameras), "encoder": o.given(parts=parts)}
    chosen = o.make_config(PRESETS, preset, config, set_, **given, fit=o.given(device=device, seed=seed))
    data = o.locate(data)
    source = open_episodes(data, split)
    weights = [w for w in (chosen.sight.detector, chosen.sight.depth) if w and Path(w).exists()]
    stages.run(
        "train-encoder",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data, *weights),
        lambda on: train_encoder(source, chosen, out, on, workers=workers, skip_corrupt=skip_corrupt),
        as_json,
        tables=True,
    )


def encode(
    source: f.Source,
    weights: Weights,
    out: TokenFile,
    detector: Detector = None,
    depth: Depth = None,
    focal: f.Focal = None,
    split: o.Split = "train",
    episode: EpisodeChoice = None,
    camera: f.CameraName = None,
    frames: f.FrameLimit = None,
    as_json: o.AsJson = False,
) -> None:
    """Turn a video, or the episodes of a data set, into tokens; the same models look as in training."""
    from vla_vision.encoder import encode_videos, load_encoder, write_tokens
    from vla_vision.encoder.token_file import require_ending
    from vla_vision.perception import Sight

    require_ending(out)
    encoder, record = load_encoder(weights)
    sight = Sight(_sight(record.sight, detector, depth), encoder.config.features.class_names)
    videos, intrinsics = _videos(source, split, episode, camera, sight, focal)
    with progress() as on_progress:
        found, summary = encode_videos(
            videos, encoder, sight, intrinsics=intrinsics, limit=frames, on_progress=on_progress
        )
        write_tokens(out, found)
    summary = {"file": str(out), **summary}
    emit(summary, as_json, lambda to: _print(to, summary))


def _sight(trained: SightConfig, detector: str | None, depth: str | None) -> SightConfig:
    """What looked in training, but for what is said otherwise."""
    from dataclasses import replace

    chosen = (
        trained if detector is None else replace(trained, detector=None if detector == NOTHING else detector)
    )
    return chosen if depth is None else replace(chosen, depth=depth)


def _videos(
    source: str, split: str, episode: int | None, camera: str | None, sight: Sight, focal: float | None
) -> tuple[Iterable[Video], list[list[float]] | None]:
    """Every episode that is meant, or the one video; and intrinsics where only a focal length is given."""
    from vla_vision.depth.sources import is_pictures
    from vla_vision.encoder import Video, episode_videos

    located = Path(o.locate(source))
    if located.is_dir() and not is_pictures(located):
        from vla_data import open_episodes

        reader = open_episodes(str(located), split)
        return episode_videos(
            reader, sight, range(len(reader)) if episode is None else [episode], camera
        ), None
    opened = f.open_frames(source, split, 0, camera)
    return [Video(opened)], f.intrinsics_of(opened, focal)


def _print(to: Console, summary: dict[str, Any]) -> None:
    print_pairs(to, {k.replace("_", " "): v for k, v in summary.items() if k != "stages"})
    columns = ("stage", "calls", "mean ms", "p50 ms", "p99 ms", "ms a frame")
    rows = [(name, *map(plain_value, row.values())) for name, row in summary["stages"].items()]
    print_table(to, columns, rows)
