"""`vla vision eval`: how right boxes, identities, depth and velocities are, where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import frames as f
from vla_cli.parser import example

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_vision.evaluation import EvaluateConfig
    from vla_vision.tracking import FrameSource

EXAMPLE = example("vla vision eval runs/held-out --weights runs/detector --out runs/perception")
TRUTH, DETECTIONS = Path("gt/gt.txt"), Path("det/det.txt")
VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".webm")

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Data set with labels, directory of a MOT sequence, or a video with --truth.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Detector, as of `vla vision detect`; `labels`: true boxes, to measure the rest by itself.",
    ),
]
Depth = Annotated[
    str | None,
    typer.Option(
        "--depth",
        metavar="PATH",
        help="Weights, as of `vla vision depth`; `sensor`: an episode's own (default); `none`.",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option("--encoder", metavar="PATH", help="Run of `vla vision train-encoder`: counts tokens too."),
]
TruthFile = Annotated[
    Path | None, typer.Option("--truth", metavar="FILE", help="MOTChallenge ground truth of a video.")
]
Cameras = Annotated[
    list[str] | None,
    typer.Option("--cameras", metavar="NAME,...", help="Of episodes; default: all with labels."),
]
EpisodeCount = Annotated[
    int | None,
    typer.Option("--episodes", metavar="N", min=1, help="At most so many, evenly; default: all."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `vla vision`."""
    app.command("eval", epilog=EXAMPLE)(evaluate)


def evaluate(
    source: Source,
    out: o.Out,
    weights: Weights = None,
    depth: Depth = None,
    encoder: Encoder = None,
    prompts: f.Prompts = None,
    look: Annotated[
        str | None,
        typer.Option("--look", metavar="HOW", help="How looks are compared, as of `vla vision track`."),
    ] = None,
    truth: TruthFile = None,
    detections: f.DetectionsFile = None,
    split: o.Split = "train",
    cameras: Cameras = None,
    episodes: EpisodeCount = None,
    frames: f.FrameLimit = None,
    skip_corrupt: f.SkipCorruptLines = False,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure perception where the truth is known: boxes, tracks, depth, velocity, rate; with a page."""
    from vla_vision.evaluation import PRESETS

    looks = o.given(detector=weights, depth=depth, look=look, prompts=o.split_names(prompts))
    given = {"sight": looks, "encoder": encoder, "cameras": o.split_names(cameras), "episodes": episodes}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    located = Path(o.locate(source))
    used = [w for w in (chosen.sight.detector, chosen.sight.depth, chosen.encoder) if w and Path(w).exists()]
    told = {"truth": str(truth or ""), "detections": str(detections or ""), "frames": frames}
    stages.run(
        "eval-perception",
        out,
        {**stages.with_source(chosen, str(located), split), **told},
        stages.input_stages(located, *used),
        lambda on: _evaluate(located, split, truth, detections, chosen, frames, skip_corrupt, out, on),
        as_json,
        tables=True,
    )


def _evaluate(
    located: Path,
    split: str,
    truth: Path | None,
    detections: Path | None,
    config: EvaluateConfig,
    limit: int | None,
    skip_corrupt: bool,
    out: Path,
    on_progress: OnProgress,
) -> tuple[dict[str, Any], list[Section]]:
    from vla_data import open_episodes
    from vla_data.errors import ConfigError
    from vla_data.video import Mp4Writer
    from vla_vision.evaluation import evaluate_episodes, evaluate_video

    known = truth or (located / TRUTH if (located / TRUTH).is_file() else None)
    if known is None and not located.is_dir():
        raise ConfigError(
            "a video alone does not say what is in it",
            where=str(located),
            expected="its ground truth in the MOTChallenge format, or episodes with labels",
            got="neither",
            next_step=f"vla vision eval {located} --truth gt.txt --weights PATH --out {out}",
        )
    if known is None:
        source = open_episodes(str(located), split)
        return evaluate_episodes(source, config, out, on_progress, open_video=Mp4Writer)
    frames = _frames(located, detections, config, skip_corrupt)
    return evaluate_video(
        frames, known, config, out, on_progress, limit=limit, skip_corrupt=skip_corrupt, open_video=Mp4Writer
    )


def _frames(
    located: Path, detections: Path | None, config: EvaluateConfig, skip_corrupt: bool
) -> FrameSource:
    """A video for the detector, or the detections of a file, beside pictures where there are any."""
    from vla_vision.tracking import MotFrames, read_mot, read_sequence_info

    sequence = located.is_dir()
    if detections is None and config.sight.detector is None and sequence:
        detections = located / DETECTIONS
    info = read_sequence_info(located / "seqinfo.ini") if (located / "seqinfo.ini").is_file() else None
    video = _video(located) if sequence else located
    opened = f.open_frames(str(video), "", 0, None) if video is not None else None
    if detections is None and opened is not None:
        return opened
    return MotFrames(
        read_mot(detections or located / DETECTIONS, skip_corrupt=skip_corrupt), info, opened, located.stem
    )


def _video(sequence: Path) -> Path | None:
    """The pictures of a MOT sequence: the folder img1, or a video file of any name."""
    folder = sequence / "img1"
    if folder.is_dir():
        return folder
    return next(
        (p for p in sorted(sequence.iterdir()) if p.suffix in (".mp4", ".avi", ".mkv", ".webm")), None
    )
