"""`vla vision perceive`: what is where, how far, moving how fast, in one pass over frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli.commands import frames as f
from vla_cli.output import emit, plain_value, print_pairs, print_table
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from rich.console import Console


SENSOR, NONE = "sensor", "none"
EXAMPLE = example("vla vision perceive walk.mp4 --weights runs/detector --depth runs/depth --video seen.mp4")

Weights = Annotated[
    str,
    typer.Option("--weights", metavar="PATH", help="Detector: checkpoint, .onnx, export; `blobs`; `motion`."),
]
Depth = Annotated[
    str | None,
    typer.Option(
        "--depth",
        metavar="PATH",
        help="Depth weights, as of `vla vision depth`; or `sensor`: an episode's own. Default: no depth.",
    ),
]
Mot = Annotated[Path | None, typer.Option("--mot", metavar="FILE", help="Write tracks as MOTChallenge text.")]
Jsonl = Annotated[Path | None, typer.Option("--jsonl", metavar="FILE", help="Write one JSON line a frame.")]
Video = Annotated[Path | None, typer.Option("--video", metavar="FILE", help="Write an annotated mp4.")]
Recording = Annotated[
    Path | None, typer.Option("--recording", metavar="FILE", help="Write a Rerun recording (.rrd).")
]


def register(app: typer.Typer) -> None:
    """Add the command to `vla vision`."""
    app.command("perceive", epilog=EXAMPLE)(perceive)


def perceive(
    source: f.Source,
    weights: Weights,
    depth: Depth = None,
    prompts: f.Prompts = None,
    look: f.Look = "histogram",
    focal: f.Focal = None,
    split: o.Split = "train",
    episode: f.EpisodeNumber = 0,
    camera: f.CameraName = None,
    frames: f.FrameLimit = None,
    mot: Mot = None,
    jsonl: Jsonl = None,
    video: Video = None,
    recording: Recording = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Detect, track, tell depth and velocity, frame by frame; say how long each stage takes."""
    from vla_data.video import Mp4Writer
    from vla_vision.perception import PRESETS, Perceiver, Sight, SightConfig, perceive_source
    from vla_vision.tracking import Outputs

    chosen = o.make_config(PRESETS, preset, config, set_)
    opened = f.open_frames(source, split, episode, camera, depth=depth == SENSOR)
    names = o.split_names(prompts) or ()
    models = Sight(SightConfig(weights, depth or NONE, look, names, chosen)).models
    outputs = Outputs(mot, jsonl, video, recording, Mp4Writer)
    intrinsics = f.intrinsics_of(opened, focal)
    with Perceiver(models, chosen, intrinsics, opened.size) as perceiver, progress() as on:
        summary = perceive_source(opened, perceiver, outputs, limit=frames, on_progress=on).to_dict()
    emit(summary, as_json, lambda to: _print(to, summary))


def _print(to: Console, summary: dict[str, Any]) -> None:
    shown = {k.replace("_", " "): "none" if v in ({}, "") else v for k, v in summary.items() if k != "stages"}
    print_pairs(to, shown)
    columns = ("stage", "calls", "mean ms", "p50 ms", "p99 ms", "ms a frame")
    print_table(
        to, columns, [(name, *map(plain_value, row.values())) for name, row in summary["stages"].items()]
    )
