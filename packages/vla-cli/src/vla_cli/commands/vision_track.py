"""`vla vision track`: which thing is which over a video, a camera, an episode or detections of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vla_cli import options as o
from vla_cli.commands import frames as f
from vla_cli.output import emit, print_pairs
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_vision.tracking import FrameSource

SEQUENCE_INFO, SEQUENCE_DETECTIONS = "seqinfo.ini", "det/det.txt"

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="Video file, camera (0, device or stream address), data set, or directory of a MOT sequence.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="PATH", help="Detector: checkpoint, .onnx, export; `blobs`; `motion`."),
]
Mot = Annotated[Path | None, typer.Option("--mot", metavar="FILE", help="Write tracks as MOTChallenge text.")]
Jsonl = Annotated[Path | None, typer.Option("--jsonl", metavar="FILE", help="Write one JSON line a frame.")]
Video = Annotated[Path | None, typer.Option("--video", metavar="FILE", help="Write an annotated mp4.")]
Recording = Annotated[
    Path | None, typer.Option("--recording", metavar="FILE", help="Write a Rerun recording (.rrd).")
]
EXAMPLE = example("vla vision track walk.mp4 --detections det.txt --mot tracks.txt --video tracks.mp4")


def register(app: typer.Typer) -> None:
    """Add the command to `vla vision`."""
    app.command("track", epilog=EXAMPLE)(track)


def track(
    source: Source = None,
    detections: f.DetectionsFile = None,
    weights: Weights = None,
    prompts: f.Prompts = None,
    look: f.Look = "histogram",
    split: o.Split = "train",
    episode: f.EpisodeNumber = 0,
    camera: f.CameraName = None,
    mot: Mot = None,
    jsonl: Jsonl = None,
    video: Video = None,
    recording: Recording = None,
    frames: f.FrameLimit = None,
    skip_corrupt: f.SkipCorruptLines = False,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Follow objects through a video: an identity for every detection, through crossings and gaps."""
    from vla_data.video import Mp4Writer
    from vla_vision.tracking import PRESETS, Outputs, Pipeline, Tracker, track_source

    chosen = o.make_config(PRESETS, preset, config, set_)
    opened = _open(source, split, episode, camera, detections, skip_corrupt)
    pipeline = Pipeline(Tracker(chosen, opened.size), f.detector_of(weights, prompts), f.embedder_of(look))
    outputs = Outputs(mot, jsonl, video, recording, Mp4Writer)
    with progress() as on_progress:
        summary = track_source(opened, pipeline, outputs, limit=frames, on_progress=on_progress).to_dict()
    shown = {k.replace("_", " "): "none" if v == {} else v for k, v in summary.items()}
    emit(summary, as_json, lambda to: print_pairs(to, shown))


def _open(
    source: str | None,
    split: str,
    episode: int,
    camera: str | None,
    detections: Path | None,
    skip_corrupt: bool,
) -> FrameSource:
    """What is tracked: frames, beside the detections of a file where one is given."""
    from vla_data.errors import ConfigError
    from vla_vision.tracking import MotFrames, read_mot, read_sequence_info

    directory = Path(source) if source and (Path(source) / SEQUENCE_INFO).is_file() else None
    if directory is not None:
        info = read_sequence_info(directory / SEQUENCE_INFO)
        rows = read_mot(detections or directory / SEQUENCE_DETECTIONS, skip_corrupt=skip_corrupt)
        return MotFrames(rows, info, name=directory.name)
    if source is None and detections is None:
        raise ConfigError(
            "there is nothing to track",
            expected="a video, a camera or a data set, a file of --detections, or both",
            next_step="vla vision track walk.mp4 --weights blobs",
        )
    frames = f.open_frames(source, split, episode, camera) if source is not None else None
    if detections is None:
        assert frames is not None
        return frames
    name = frames.name if frames is not None else detections.stem
    return MotFrames(read_mot(detections, skip_corrupt=skip_corrupt), None, frames, name)
