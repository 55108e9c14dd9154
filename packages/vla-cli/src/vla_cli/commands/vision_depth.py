"""`vla vision depth | train-depth | export-depth`: how far everything is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import frames as f
from vla_cli.output import emit, hint, print_pairs
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_vision.depth.calibration import Calibration
    from vla_vision.depth.inference import NetworkDepth
    from vla_vision.tracking import FrameSource

DEPTH_EXAMPLE = example("vla vision depth walk.mp4 --weights runs/depth --out walk-depth")
TRAIN_EXAMPLE = example("vla vision train-depth --data runs/seen --unseen corner4 --out runs/depth")
EXPORT_EXAMPLE = example("vla vision export-depth --weights runs/depth --shape 240x320 --out depth.onnx")

Source = Annotated[
    str, typer.Argument(metavar="INPUT", help="Video file, picture, folder of pictures, or data set.")
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Run of train-depth, .onnx or OpenVINO .xml file, Depth Anything directory or hub id. "
        "V2-Small is under Apache-2.0, larger V2 under CC-BY-NC-4.0.",
    ),
]
Folder = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder for a map a frame, a clip and depth.json.")
]
Layout = Annotated[
    Literal["auto", "png", "npz"],
    typer.Option("--format", help="png: 16 bits, millimetres; npz: float32; auto: png where metric."),
]
Size = Annotated[
    str, typer.Option("--size", metavar="NAME", help="Of Depth Anything's input: fast, balanced or full.")
]
KindName = Annotated[
    Literal["metric", "relative"] | None,
    typer.Option("--kind", help="What Depth Anything weights say, if their config does not tell rightly."),
]
Trained = Annotated[
    str,
    typer.Option("--weights", metavar="PATH", help="Run of train-depth, Depth Anything directory or hub id."),
]
Known = Annotated[
    Path | None,
    typer.Option(
        "--known", metavar="FILE", help="Depth known of the first frame (.png in mm, .npz): gives metres."
    ),
]
Smooth = Annotated[bool, typer.Option("--smooth/--no-smooth", help="Take out flicker over time.")]
Clip = Annotated[bool, typer.Option("--video/--no-video", help="Write depth.mp4: picture beside depth.")]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch weights by hub id; nothing is fetched without.")
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out and count episodes that cannot be used.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla vision`."""
    app.command("depth", epilog=DEPTH_EXAMPLE)(depth)
    app.command("train-depth", epilog=TRAIN_EXAMPLE)(train_depth)
    app.command("export-depth", epilog=EXPORT_EXAMPLE)(export_depth)


def depth(
    source: Source,
    weights: Weights,
    out: Folder,
    split: o.Split = "train",
    episode: f.EpisodeNumber = 0,
    camera: f.CameraName = None,
    frames: f.FrameLimit = None,
    format: Layout = "auto",
    size: Size = "balanced",
    kind: KindName = None,
    focal: f.Focal = None,
    known: Known = None,
    smooth: Smooth = True,
    video: Clip = True,
    download: Download = False,
    as_json: o.AsJson = False,
) -> None:
    """Say how far everything in a video, in pictures or in an episode is: metres, or relative depth."""
    from vla_data.video import Mp4Writer
    from vla_vision.depth import FolderConfig, LoadConfig, SmoothingConfig, load_depth, write_depth

    model = load_depth(weights, LoadConfig(size, kind, download))
    opened = f.open_frames(source, split, episode, camera)
    known_camera = f.intrinsics_of(opened, None)
    focal = focal or (known_camera[1][1] if known_camera else None)
    settings = FolderConfig(
        format,
        SmoothingConfig() if smooth else None,
        focal,
        frames,
        _calibration(known, model, opened, focal),
    )
    with progress() as on_progress:
        writer = Mp4Writer if video else None
        summary = write_depth(opened, model, out, settings, open_video=writer, on_progress=on_progress)
    emit({"directory": str(out), **summary}, as_json, lambda to: print_pairs(to, _pairs(out, summary)))
    if summary["frames_that_show_nothing"]:
        hint(f"depth: {summary['frames_that_show_nothing']} frames of one colour; their depth is unknown")


def train_depth(
    data: o.Data,
    out: o.Out,
    split: o.Split = "train",
    unseen: Annotated[
        str | None, typer.Option("--unseen", metavar="CAMERA", help="Never trained on, only measured.")
    ] = None,
    cameras: Annotated[
        list[str] | None,
        typer.Option("--cameras", metavar="NAME,...", help="Cameras; default: all with depth."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="PATH", help="Go on from these: a run of train-depth.")
    ] = None,
    skip_corrupt: SkipCorrupt = False,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a small metric-depth network on episodes with depth; measure it on held-out ones."""
    from vla_data import open_episodes
    from vla_vision.depth import train_depth
    from vla_vision.depth.config import PRESETS

    given = {"unseen": unseen, "cameras": o.split_names(cameras), "weights": weights}
    chosen = o.make_config(PRESETS, preset, config, set_, **given, fit=o.given(device=device, seed=seed))
    data = o.locate(data)
    source = open_episodes(data, split)
    stages.run(
        "train-depth",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data, *([weights] if weights else [])),
        lambda on: train_depth(source, chosen, out, on, skip_corrupt=skip_corrupt),
        as_json,
        tables=True,
    )


def export_depth(
    weights: Trained,
    shape: Annotated[
        str, typer.Option("--shape", metavar="HxW", help="Height and width of the frames it will see.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .onnx file, or .xml for OpenVINO.")],
    size: Size = "balanced",
    kind: KindName = None,
    download: Download = False,
    as_json: o.AsJson = False,
) -> None:
    """Write a depth network as a file that runs without torch: ONNX, or OpenVINO."""
    from vla_vision.depth import LoadConfig, export_onnx, export_openvino, load_depth

    model = load_depth(weights, LoadConfig(size, kind, download))
    write = {".onnx": export_onnx, ".xml": export_openvino}.get(out.suffix)
    if write is None:
        raise _usage("--out", "a file that ends in .onnx or .xml", str(out))
    spec = write(model, out, _shape(shape))
    height, width = spec.shape or (0, 0)
    made: dict[str, Any] = {
        "file": str(out),
        "network": spec.name,
        "says": spec.meaning,
        "input": f"{height}x{width}",
    }
    made["bytes"] = sum(p.stat().st_size for p in (out, out.with_suffix(".bin")) if p.is_file())
    emit(made, as_json, lambda to: print_pairs(to, made))


def _calibration(
    known: Path | None, model: NetworkDepth, source: FrameSource, focal: float | None
) -> Calibration | None:
    """Fitted to what is known of the first frame."""
    if known is None:
        return None
    from vla_vision.depth import calibrate, read_depth

    first = next((frame.image for frame in source if frame.image is not None), None)
    assert first is not None
    return calibrate(model.infer([first], focal)[0], read_depth(known))


def _pairs(out: Path, summary: dict[str, Any]) -> dict[str, Any]:
    shown = {k.replace("_", " "): v for k, v in summary.items() if v is not None}
    return {"folder": out, **shown}


def _shape(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise _usage("--shape", "height x width in pixels, such as 240x320", text)
    return int(height), int(width)


def _usage(where: str, expected: str, got: str) -> Exception:
    from vla_data.errors import ConfigError

    return ConfigError("an option cannot be used like this", where=where, expected=expected, got=got)
