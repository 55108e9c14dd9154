"""`vla data label` and `vla data augment`: copies of a data set with sub-steps, or with variations."""

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

Uri = Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out and count episodes that cannot be used.")
]
LABEL_EXAMPLE = example("vla data label runs/drawer --out runs/labelled --checklists runs/labelled.md")
AUGMENT_EXAMPLE = example("vla data augment runs/drawer --out runs/varied --copies 2 --preview grid.png")


def register(app: typer.Typer) -> None:
    """Add the commands to the group of `vla data`."""
    app.command("label", epilog=LABEL_EXAMPLE)(label)
    app.command("augment", epilog=AUGMENT_EXAMPLE)(augment)


def label(
    uri: Uri,
    out: o.Out,
    split: o.Split = "train",
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help="kinematic, gripper, equal, learned or command."),
    ] = None,
    sidecar: Annotated[
        bool, typer.Option("--sidecar", help="Write substeps.jsonl instead of a copy of the data set.")
    ] = False,
    checklists: Annotated[
        Path | None, typer.Option("--checklists", metavar="FILE", help="Write a Markdown list per episode.")
    ] = None,
    skip_corrupt: SkipCorrupt = False,
    workers: o.Workers = None,
    engine: o.Engine = "pool",
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Divide episodes into sub-steps, each with a text; keep the data set with them as RLDS."""
    from vla_data.label import PRESETS, LabelOptions, label_dataset

    chosen = o.make_config(PRESETS, preset, config, set_, method=method)
    source = o.locate(uri)
    made = LabelOptions(sidecar, checklists, skip_corrupt, workers, engine)

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        summary = label_dataset(source, out, chosen, made, split=split, on_progress=on_progress)
        return summary, _sections("Labels", summary)

    told = {"label": chosen, "sidecar": sidecar, "checklists": checklists, "skip_corrupt": skip_corrupt}
    _run("label", out, source, split, told, work, as_json)


def augment(
    uri: Uri,
    out: o.Out,
    split: o.Split = "train",
    copies: Annotated[
        int | None, typer.Option("--copies", metavar="N", min=1, help="Augmented episodes for each one.")
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="FILE", help="Write a PNG of the first episode beside its copies."),
    ] = None,
    seed: o.Seed = None,
    skip_corrupt: SkipCorrupt = False,
    workers: o.Workers = None,
    engine: o.Engine = "pool",
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Add copies of episodes with lags, masked sensors, moved cameras and other light, as RLDS."""
    from vla_data.augment import PRESETS, augment_dataset
    from vla_data.rewriting import CopyConfig

    chosen = o.make_config(PRESETS, preset, config, set_, copies=copies, seed=seed)
    source = o.locate(uri)
    copying = CopyConfig(skip_corrupt=skip_corrupt, workers=workers, engine=engine)

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        summary = augment_dataset(
            source, out, chosen, copying, split=split, preview=preview, on_progress=on_progress
        )
        return summary, _sections("Augmented copies", summary)

    told = {"augment": chosen, "preview": preview, "skip_corrupt": skip_corrupt}
    _run("augment", out, source, split, told, work, as_json)


def _run(
    name: str, out: Path, source: str, split: str, told: dict[str, Any], work: stages.Work, as_json: bool
) -> None:
    """The stage, known by its source and by everything that changes what comes out."""
    stages.run(name, out, stages.with_source(told, source, split), stages.input_stages(source), work, as_json)


def _sections(title: str, summary: dict[str, Any]) -> list[Section]:
    """The stage's part of a page: its figures, and what the written data set holds."""
    from vla_cli.output import plain_value
    from vla_data.explore import inspect
    from vla_data.report import Section, Table

    rows = tuple((name.replace("_", " "), plain_value(value)) for name, value in summary.items())
    section = Section(title, (Table(("what", "value"), rows),))
    return [section, *(inspect(summary["directory"]).sections() if "directory" in summary else [])]
