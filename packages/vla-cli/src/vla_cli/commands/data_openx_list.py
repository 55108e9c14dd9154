"""`vla data list`: the catalogue of Open X-Embodiment, and what of it is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vla_cli import options as o
from vla_cli.output import emit, hint, print_table
from vla_cli.parser import example

if TYPE_CHECKING:
    from rich.console import Console

    from vla_data.openx.catalog import CatalogEntry
    from vla_data.openx.local import LocalDataset

Robot = Annotated[
    str | None, typer.Option("--robot", metavar="NAME", help="Only of this robot; a part of its name does.")
]
CameraRole = Annotated[
    str | None, typer.Option("--camera", metavar="ROLE", help="Only with this camera: primary, wrist, …")
]
MaxSize = Annotated[
    str | None, typer.Option("--max-size", metavar="SIZE", help="Only up to this size, such as 5GB.")
]
Has = Annotated[
    list[str] | None,
    typer.Option("--has", metavar="WHAT,...", help="Only with depth, wrist, state, gripper, action."),
]
StatusName = Annotated[
    str | None,
    typer.Option("--status", metavar="NAME", help="Only those checked so: real, synthetic, unverified."),
]
Local = Annotated[bool, typer.Option("--local", help="What is on this machine, catalogued or not.")]
Wide = Annotated[bool, typer.Option("--wide", help="Every column, quirks too.")]


def register(app: typer.Typer) -> None:
    """Add the command to `vla data`."""
    app.command("list", epilog=example("vla data list --robot franka --camera wrist --max-size 5GB"))(listed)


def listed(
    robot: Robot = None,
    camera: CameraRole = None,
    max_size: MaxSize = None,
    has: Has = None,
    status: StatusName = None,
    local: Local = False,
    wide: Wide = False,
    as_json: o.AsJson = False,
) -> None:
    """List the data sets of Open X-Embodiment, or those on this machine."""
    from vla_data.openx.catalog import parse_size, select

    size = parse_size(max_size) if max_size else None
    wanted = o.split_names(has) or ()
    found = select(robot=robot, camera=camera, max_bytes=size, has=wanted, status=status)
    if local:
        everything = not (robot or camera or max_size or has or status)
        _list_local({e.name for e in found}, everything, as_json)
        return
    emit(found, as_json, lambda to: _show(to, found, wide))
    hint(f"{len(found)} data sets. cams: how many; w one at the wrist, d depth. checked: on which episodes.")
    hint("– is not published; without a size, it is somebody's copy. Fetch one with: vla data download NAME")


def _show(to: Console, entries: Sequence[CatalogEntry], wide: bool) -> None:
    """As many columns as there is room for."""
    columns = ["data set", "GiB", "episodes", "robot", "Hz", "cams"]
    rows = [_row(e) for e in entries]
    if to.width >= 100 or wide:
        columns += ["action", "checked"]
        rows = [[*row, e.action_encoding, e.status] for row, e in zip(rows, entries, strict=True)]
    if wide:
        columns += ["images", "state", "version", "shards", "roles", "quirks"]
        rows = [[*row, *_details(e)] for row, e in zip(rows, entries, strict=True)]
    print_table(to, columns, rows)


def _row(entry: CatalogEntry) -> list[str]:
    marks = ("w" if any(c.startswith("wrist") for c in entry.cameras) else "") + ("d" if entry.depth else "")
    return [
        entry.short_name,
        "–" if entry.size_gib is None else _short(entry.size_gib),
        "–" if entry.episodes is None else f"{entry.episodes:,}",
        entry.robot,
        "–" if entry.control_hz is None else f"{entry.control_hz:g}",
        f"{len(entry.cameras)} {marks}".strip(),
    ]


def _details(entry: CatalogEntry) -> list[str]:
    shards = "–" if entry.shards is None else str(entry.shards)
    roles = ", ".join(f"{role} {key.removeprefix('observation/')}" for role, key in entry.cameras.items())
    quirks = "; ".join(entry.quirks)
    return [entry.image_encoding, entry.state_encoding, entry.version or "–", shards, roles, quirks]


def _short(gib: float) -> str:
    """Three figures are enough to plan a disk with."""
    return f"{gib:,.0f}" if gib >= 10 else f"{gib:.2g}"


def _list_local(wanted: set[str], everything: bool, as_json: bool) -> None:
    from vla_data.openx.local import local_datasets

    found = [d for d in local_datasets() if everything or d.name in wanted]
    emit(found, as_json, lambda to: _show_local(to, found))
    if not found:
        hint("Nothing is here. Data sets are looked for in $VLA_DATA (./data) and among those downloaded.")


def _show_local(to: Console, found: Sequence[LocalDataset]) -> None:
    columns = ["data set", "version", "state", "kept", "GiB", "where"]
    rows = [
        [
            d.name,
            d.version,
            d.state + (", a part" if d.subset else ""),
            d.mode,
            _short(d.bytes / 2**30),
            d.path,
        ]
        for d in found
    ]
    if rows:
        print_table(to, columns, rows)
