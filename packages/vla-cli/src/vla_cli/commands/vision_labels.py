"""`vla vision labels`: episodes into labelled images (YOLO) or sequences with ground truth (MOT)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.parser import example

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_vision.labels import ExportOptions, LabelConfig

EXAMPLE = example("vla vision labels runs/seen --out runs/boxes --every 8 --preview grid.png")
OPEN_SCORE = 0.1  # a teacher's weaker detections still continue a track

Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="yolo (labelled images) or mot (sequences); default: yolo."
    ),
]
Cameras = Annotated[
    list[str] | None,
    typer.Option("--cameras", metavar="NAME,...", help="Cameras; default: all that have labels."),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes", metavar="NAME,...", help="Classes in the order of their numbers; default: all."
    ),
]
Every = Annotated[int | None, typer.Option("--every", metavar="N", min=1, help="One frame in N; default: 1.")]
Outlines = Annotated[
    bool | None, typer.Option("--outlines", help="Write the outlines of masks instead of boxes (yolo).")
]
Video = Annotated[bool, typer.Option("--video", help="Write an mp4 a sequence instead of images (mot).")]
TeacherName = Annotated[
    str | None,
    typer.Option(
        "--teacher", metavar="PATH", help="Take labels from this detector instead, cleaned by tracking."
    ),
]
PreviewFile = Annotated[
    Path | None,
    typer.Option("--preview", metavar="FILE", help="Write a PNG of some frames with their labels."),
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out and count episodes and frames that cannot be used.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `vla vision`."""
    app.command("labels", epilog=EXAMPLE)(labels)


def labels(
    uri: Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)],
    out: o.Out,
    split: o.Split = "train",
    format: Format = None,
    cameras: Cameras = None,
    classes: Classes = None,
    every: Every = None,
    outlines: Outlines = None,
    video: Video = False,
    teacher: TeacherName = None,
    preview: PreviewFile = None,
    skip_corrupt: SkipCorrupt = False,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Write what objects are where in the frames of a data set, as a YOLO or MOT data set."""
    from vla_vision.labels import PRESETS

    named = {"cameras": o.split_names(cameras), "classes": o.split_names(classes)}
    given = {"format": format, "every": every, "outlines": outlines, **named}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    source = o.locate(uri)
    told = {"labels": chosen, "video": video, "teacher": teacher, "preview": preview, "skip": skip_corrupt}

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        options = _options(chosen, video, teacher, preview, skip_corrupt)
        return _export(source, split, out, chosen, options, on_progress)

    inputs = stages.input_stages(source)
    stages.run("labels", out, stages.with_source(told, source, split), inputs, work, as_json)


def _options(
    config: LabelConfig, video: bool, teacher: str | None, preview: Path | None, skip_corrupt: bool
) -> ExportOptions:
    from vla_vision.labels import ExportOptions, Teacher

    made = None
    if teacher is not None:
        from vla_vision.detection import DetectOptions, load_detector

        detect = DetectOptions(score=min(OPEN_SCORE, config.score))
        made = Teacher(load_detector(teacher, options=detect, class_names=config.classes))
    writer = None
    if video:
        from vla_data.video import Mp4Writer

        writer = Mp4Writer
    return ExportOptions(made, writer, preview, skip_corrupt)


def _export(
    source: str, split: str, out: Path, config: LabelConfig, options: ExportOptions, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    """The labels, and the stage's part of a page."""
    from vla_cli.output import plain_value
    from vla_data import open_episodes
    from vla_data.report import Section, Table
    from vla_vision.labels import export_labels

    reader = open_episodes(source, split)
    summary = export_labels(reader, out, config, options, on_progress=on_progress)
    classes = tuple((name, str(count)) for name, count in summary["classes"].items())
    rows = tuple((k.replace("_", " "), plain_value(v)) for k, v in summary.items() if k != "classes")
    return summary, [
        Section("Labels", (Table(("what", "value"), rows), Table(("class", "objects"), classes)))
    ]
