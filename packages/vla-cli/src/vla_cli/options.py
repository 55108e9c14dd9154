"""The options commands share, each defined once, and how they become a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

T = TypeVar("T")

DATASET_HELP = (
    "Directory of a data set (RLDS, LeRobot v3, HDF5), or a name: under $VLA_DATA (./data), or registered."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Directory of the run; the same one again resumes.")
]
Data = Annotated[
    str,
    typer.Option("--data", metavar="DATASET", help=DATASET_HELP),
]
Split = Annotated[str, typer.Option("--split", metavar="NAME", help="Split of the data set.")]
Tasks = Annotated[
    list[str] | None,
    typer.Option("--tasks", metavar="TASK,...", help="Tasks, separated by commas; see `vla sim list`."),
]
Episodes = Annotated[int | None, typer.Option("--episodes", metavar="N", min=1, help="Episodes per task.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Processes; default: one per processor core."),
]
Engine = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="What runs the work: pool (processes here), or beam.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"] | None, typer.Option("--device", help="Where to train; default: auto.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random; default: 0.")
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset", metavar="NAME", help="Named configuration to start from; a wrong name lists all."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML or JSON file of values that differ from the preset."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value, such as a.b=1; may be repeated."),
]


def make_config(
    presets: Mapping[str, Callable[[], T]],
    preset: str,
    file: Path | None,
    overrides: Sequence[str] | None,
    **options: Any,
) -> T:
    """A preset, changed by the file, by `--set`, and last by the options that were given (not None)."""
    from vla_data.config import merge, resolve

    config = resolve(presets, preset, file, overrides or ())
    return merge(config, {k: v for k, v in options.items() if v is not None})


def given(**options: Any) -> dict[str, Any] | None:
    """The options that were used, for a nested part of a config; None when none was."""
    used = {k: v for k, v in options.items() if v is not None}
    return used or None


def data_directory() -> Path:
    """Where data sets lie that are called by name: $VLA_DATA, else ./data."""
    from vla_data.openx.local import data_directory

    return data_directory()


def locate(dataset: str) -> str:
    """A data set by its path, or where nothing lies there, by its name under `data_directory`."""
    named = data_directory() / dataset
    return str(named) if not Path(dataset).exists() and named.exists() else dataset


def split_names(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names given as `a,b`, as repeated options, or both; None when the option was not used."""
    if not values:
        return None
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())
