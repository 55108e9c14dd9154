"""`vla vision train | export | detect`: detectors trained on labelled images, exported, and used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import frames as f
from vla_cli.output import emit, hint, print_pairs, stdout
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_vision.detection import TrainConfig
    from vla_vision.tracking import FrameSource
    from vla_vision.types import Detector

TRAIN_EXAMPLE = example("vla vision train --data runs/boxes --out runs/detector")
EXPORT_EXAMPLE = example("vla vision export runs/detector --to onnx --out runs/detector-onnx")
DETECT_EXAMPLE = example("vla vision detect walk.mp4 --weights yolo11n.onnx --video found.mp4")

LabelledData = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Run of `vla vision labels`, data set in the YOLO layout, or episodes with labels.",
    ),
]
Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="Run of `vla vision train`, or its detector directory.")
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Run of train, export, .onnx file, transformers directory or hub id; `blobs` or `motion`: none.",
    ),
]
Results = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write JSON lines there, one a frame.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla vision`."""
    app.command("train", epilog=TRAIN_EXAMPLE)(train)
    app.command("export", epilog=EXPORT_EXAMPLE)(export)
    app.command("detect", epilog=DETECT_EXAMPLE)(detect)


def train(
    data: LabelledData,
    out: o.Out,
    split: o.Split = "train",
    imgsz: Annotated[
        int | None, typer.Option("--imgsz", metavar="PIXELS", help="Longer side of images; default: 320.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", min=1, help="Times each image is seen.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--start", metavar="CHECKPOINT", help="Go on from these weights.")
    ] = None,
    every: Annotated[
        int, typer.Option("--every", metavar="N", min=1, help="Of episodes, one frame in N.")
    ] = 4,
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave out and count what cannot be read.")
    ] = False,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a YOLO detector from nothing, offline; interrupted, the same command resumes."""
    from vla_vision.detection.training import PRESETS

    given = {"image_size": imgsz, "epochs": epochs, "fit": o.given(device=device, seed=seed)}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    data = o.locate(data)
    told = {"train": chosen, "every": every, "skip_corrupt": skip_corrupt}
    inputs = stages.input_stages(data, *([start] if start else []))

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        return _train(data, split, every, chosen, out, start, skip_corrupt, on_progress)

    stages.run("train-detector", out, stages.with_source(told, data, split), inputs, work, as_json)


def export(
    checkpoint: Checkpoint,
    to: Annotated[Literal["onnx", "openvino"], typer.Option("--to", help="Engine that will run it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory to write.")],
    as_json: o.AsJson = False,
) -> None:
    """Write a trained detector for an engine that needs no torch."""
    from vla_vision.detection.export import export_detector

    made = export_detector(checkpoint, to, out)
    emit(made, as_json, lambda to: print_pairs(to, made))


def detect(
    source: f.Source,
    weights: Weights,
    prompts: f.Prompts = None,
    score: Annotated[
        float, typer.Option("--score", metavar="SHARE", min=0, max=1, help="Least confidence.")
    ] = 0.25,
    out: Results = None,
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Write an annotated mp4.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="DIR", help="Write an annotated PNG a frame.")
    ] = None,
    split: o.Split = "train",
    episode: f.EpisodeNumber = 0,
    camera: f.CameraName = None,
    frames: f.FrameLimit = None,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Fetch weights by hub id; else nothing is fetched.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Find things in a video, pictures or an episode: JSON lines, and pictures with boxes."""
    from vla_vision.detection import DetectOptions, load_detector

    names = o.split_names(prompts) or ()
    options = DetectOptions(score=score)
    detector = load_detector(weights, options=options, class_names=names, allow_download=allow_download)
    opened = f.open_frames(source, split, episode, camera)
    with progress() as on_progress:
        found = _rows(opened, detector, frames, pictures, video, on_progress)
        summary = _write(found, out, as_json)
    told = summary | {k: str(v) for k, v in {"video": video, "pictures": pictures}.items() if v is not None}
    if as_json:
        emit(told, True, lambda _: None)
    elif out is not None:
        emit(told, False, lambda to: print_pairs(to, told))
    else:
        hint(f"detect: {summary['detections']} detections in {summary['frames']} frames")


def _train(
    data: str,
    split: str,
    every: int,
    config: TrainConfig,
    out: Path,
    start: Path | None,
    skip_corrupt: bool,
    on_progress: OnProgress,
) -> tuple[dict[str, Any], list[Section]]:
    """Train on labelled images; those of episodes are written to `out/yolo` first, unless they are there."""
    from vla_vision.detection import train_detector
    from vla_vision.detection.samples import find_yolo_data

    labelled = Path(data)
    if labelled.exists() and find_yolo_data(labelled) is None:
        labelled = out
        if find_yolo_data(labelled) is None:
            from vla_data import open_episodes
            from vla_vision.labels import ExportOptions, LabelConfig, export_labels

            wanted = LabelConfig(every=every, outlines=config.architecture.endswith("-seg"))
            options = ExportOptions(skip_corrupt=skip_corrupt)
            export_labels(open_episodes(data, split), out, wanted, options, on_progress=on_progress)
    return train_detector(labelled, config, out, on_progress, start=start, skip_corrupt=skip_corrupt)


def _rows(
    source: FrameSource,
    detector: Detector,
    limit: int | None,
    pictures: Path | None,
    video: Path | None,
    on_progress: OnProgress,
) -> Iterator[dict[str, Any]]:
    """One row a frame, drawn on the way."""
    from vla_data.video import Mp4Writer
    from vla_vision.detection.frames import Drawn, detect_frames, detection_rows, draw_frames

    found = detect_frames(source, detector, limit=limit, on_progress=on_progress)
    for frame, detections in draw_frames(found, Drawn(pictures, video, Mp4Writer), source.frame_rate):
        yield {
            "frame": frame.index,
            "time": round(frame.time, 6),
            "detections": detection_rows(detections),
        }


def _write(found: Iterator[dict[str, Any]], out: Path | None, as_json: bool) -> dict[str, Any]:
    """Rows to the file, else to standard output, else (with --json) into the one document; the counts."""
    from contextlib import ExitStack

    from vla_data.files import atomic_path

    kept: list[dict[str, Any]] = []
    frames = detections = 0
    with ExitStack() as stack:
        handle = stdout()
        if out is not None:
            part = stack.enter_context(atomic_path(out))
            handle = stack.enter_context(part.open("w", encoding="utf-8"))
        for row in found:
            frames, detections = frames + 1, detections + len(row["detections"])
            if out is None and as_json:
                kept.append(row)
            else:
                handle.write(json.dumps(row) + "\n")
    counts = {"frames": frames, "detections": detections}
    if out is not None:
        return {"file": str(out), **counts}
    return counts | ({"found": kept} if as_json else {})
