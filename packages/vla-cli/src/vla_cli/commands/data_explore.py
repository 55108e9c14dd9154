"""`vla data inspect | stats | report | view`: what is in data sets, their numbers, one episode of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli.output import emit, hint, print_pairs, print_sections
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_data.explore import DatasetStats, MergedStats

Uri = Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)]
Uris = Annotated[list[str], typer.Argument(metavar="DATASET", help=o.DATASET_HELP)]
LocalUris = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DATASET]...", help="Data sets; default: all under $VLA_DATA (./data) and registered ones."
    ),
]
SkipCorrupt = Annotated[
    bool,
    typer.Option("--skip-corrupt", help="Leave damaged episodes out and count them, instead of failing."),
]
Page = Annotated[Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with pictures.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla data`."""
    app.command("inspect", epilog=example("vla data inspect runs/reach --out page.html"))(inspect)
    app.command("stats", epilog=example("vla data stats runs/reach --format openpi --out norm_stats.json"))(
        stats
    )
    app.command("report", epilog=example("vla data report --out data.html"))(report)
    app.command("view", epilog=example("vla data view runs/reach --episode 3 --out episode.rrd"))(view)


def inspect(
    uri: Uri,
    split: o.Split = "train",
    out: Page = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Write one PNG per camera there.")
    ] = None,
    skip_corrupt: SkipCorrupt = False,
    as_json: o.AsJson = False,
) -> None:
    """Show what a data set holds: keys, cameras, action, units, examples, oddities."""
    from vla_data.explore import inspect
    from vla_data.explore.looks import save_pictures

    model = inspect(o.locate(uri), split, skip_corrupt=skip_corrupt)
    if images is not None:
        _said([str(p) for p in save_pictures(images, model.pictures).values()])
    if out is not None:
        _write_page(out, f"{model.name} ({split})", model.sections)
    emit(model.to_dict(), as_json, lambda to: print_sections(to, model.sections()))


def stats(
    uris: Uris,
    split: o.Split = "train",
    format: Annotated[
        Literal["openvla", "openpi", "lerobot"] | None,
        typer.Option("--format", help="Statistics file of another code base, instead of tables."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write there: the file of --format, else a page with plots."
        ),
    ] = None,
    skip_corrupt: SkipCorrupt = False,
    as_json: o.AsJson = False,
) -> None:
    """Compare data sets: cameras, lengths, rates, words, distributions; their union."""
    from vla_data.explore import export_stats, merge_stats, sections, stats

    several, paths = len(uris) > 1, [o.locate(uri) for uri in uris]
    with progress() as on_progress:
        found = stats(paths, on_progress, split, skip_corrupt=skip_corrupt, sketch=several)
    merged = merge_stats(found) if several else None
    if format is not None:
        _export(export_stats(found, format), out, merged)
        return
    if out is not None:
        _write_page(out, "Statistics", lambda _: sections(found, merged))
    emit(_document(found, merged), as_json, lambda to: print_sections(to, sections(found, merged)))


def report(
    uris: LocalUris = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Page to write.")] = Path(
        "data.html"
    ),
    skip_corrupt: SkipCorrupt = False,
    as_json: o.AsJson = False,
) -> None:
    """Write one page over all local data sets: sizes, pictures, words, distributions."""
    from vla_data.explore import look_at, report_sections

    paths = [o.locate(uri) for uri in uris] if uris else _local()
    with progress() as on_progress:
        looked = look_at(paths, on_progress, skip_corrupt=skip_corrupt)
    _write_page(out, "Data sets", lambda media: report_sections(looked, media), quiet=True)
    failed = {x.uri: x.failure.splitlines()[0] for x in looked if x.failure}
    for uri, failure in failed.items():
        hint(f"could not be read: {uri}: {failure}")
    result = {"page": str(out), "datasets": [x.uri for x in looked if not x.failure], "failed": failed}
    emit(result, as_json, lambda to: to.print(str(out), soft_wrap=True))


def view(
    uri: Uri,
    episode: Annotated[int, typer.Option("--episode", metavar="N", min=0, help="Number in its split.")] = 0,
    split: o.Split = "train",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.rrd", help="Write a Rerun recording.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Write a contact sheet.")
    ] = None,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=1, max=32, help="Frames a row of the sheet.")
    ] = 8,
    open_: Annotated[bool, typer.Option("--open", help="Open the recording in Rerun's window.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Write one episode to look at: a Rerun recording (the default), a contact sheet."""
    from vla_data.explore import open_viewer, view_episode

    if out is None and (sheet is None or open_):
        out = Path(f"episode-{episode}.rrd")
    done = view_episode(o.locate(uri), episode, split, recording=out, sheet=sheet, columns=columns)
    emit(done, as_json, lambda to: print_pairs(to, done))
    if out is not None and open_:
        open_viewer(out)
    elif out is not None:
        hint(f"look at it with: rerun {out}")


def _document(found: list[DatasetStats], merged: MergedStats | None) -> dict[str, Any]:
    return {"datasets": [s.to_dict() for s in found], "merged": merged.to_dict() if merged else None}


def _export(document: dict[str, Any], out: Path | None, merged: MergedStats | None) -> None:
    """To the file, or to standard output."""
    from vla_cli.output import write_json as print_json
    from vla_data.files import write_json

    for note in merged.notes if merged else ():
        hint(note)
    if out is None:
        print_json(document)
    else:
        write_json(out, document)
        _said([str(out)])


def _write_page(out: Path, title: str, sections: Any, quiet: bool = False) -> None:
    """A page whose pictures are gathered in a directory that goes again."""
    from vla_data.report import write_page

    with tempfile.TemporaryDirectory() as media:
        write_page(out, title, sections(Path(media)))
    if not quiet:
        _said([str(out)])


def _said(files: list[str]) -> None:
    for file in files:
        hint(f"wrote {file}")


def _local() -> list[str]:
    """Every data set of this machine but those that would be fetched by looking at them."""
    from vla_data.errors import DataError
    from vla_data.openx.local import local_datasets

    known = local_datasets()
    for name in [d.name for d in known if d.mode == "stream"]:
        hint(f"left out, as its shards are fetched when read: {name}")
    found = [d.path for d in known if d.mode != "stream"]
    if not found:
        raise DataError(
            "no data set is here",
            where=str(o.data_directory()),
            expected="data sets under $VLA_DATA (./data), or registered by: vla data download",
            next_step="name some: vla data report DATASET..., or make one: vla data generate",
        )
    return found
