"""`vla data download`: data sets from the public bucket, a mirror or a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vla_cli import options as o
from vla_cli.output import emit, hint, print_table
from vla_cli.parser import example
from vla_cli.stages import resumable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from vla_data.openx.tasks import Outcome

Names = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Data set, or NAME/VERSION; see `vla data list`.")
]
LocalDir = Annotated[
    Path | None,
    typer.Option(
        "--local-dir", metavar="DIR", help="Where to, as NAME/VERSION; default: $VLA_DATA (./data)."
    ),
]
Copy = Annotated[
    bool, typer.Option("--copy", help="Fetch every shard now; without, shards are fetched when first read.")
]
Shards = Annotated[
    str | None, typer.Option("--shards", metavar="I-J,...", help="Only these shards of each split.")
]
Episodes = Annotated[
    int | None,
    typer.Option("--episodes", metavar="N", min=1, help="Only the first shards that hold N episodes."),
]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Files fetched at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be fetched.")]
SourceAddress = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="ADDRESS",
        help="gs://BUCKET/PREFIX, https://MIRROR/PATH, file:///DIR; default: the public bucket.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    epilog = example("vla data download nyu_rot_dataset_converted_externally_to_rlds --copy")
    app.command("download", epilog=epilog)(download)


def download(
    names: Names,
    local_dir: LocalDir = None,
    copy: Copy = False,
    shards: Shards = None,
    episodes: Episodes = None,
    jobs: Jobs = 8,
    dry_run: DryRun = False,
    source: SourceAddress = None,
    as_json: o.AsJson = False,
) -> None:
    """Fetch Open X data sets over HTTPS, resumable and verified, or register them to be streamed.

    Each ends as verified or failed, with the reason; the exit code is 0 only when all are verified.
    """
    from vla_data.openx.download import download
    from vla_data.openx.sources import PUBLIC
    from vla_data.openx.tasks import DownloadConfig

    root = local_dir or o.data_directory()
    config = DownloadConfig(source or PUBLIC, root, copy, shards, episodes, jobs)
    with resumable(root) as on_progress:
        outcomes = download(names, config, on_progress, dry_run=dry_run)
    emit(outcomes, as_json, lambda to: _show(to, outcomes))
    _explain(outcomes)
    raise typer.Exit(exit_code(outcomes))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when nothing failed; the code of what failed, 1 when that differs."""
    codes = {int(o.error["exit_code"] or 1) for o in outcomes if o.error}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _show(to: Console, outcomes: Sequence[Outcome]) -> None:
    fetched = "to fetch" if any(o.state == "planned" for o in outcomes) else "fetched"
    columns = ("data set", "state", "how", "checked", "episodes", "files", "size", fetched, "where or why")
    print_table(to, columns, [_row(outcome) for outcome in outcomes])


def _row(outcome: Outcome) -> tuple[str, ...]:
    name, standard = f"{outcome.name} {outcome.version}".rstrip(), outcome.standard or "none"
    if outcome.state == "failed":
        said = str((outcome.error or {}).get("message"))
        return (name, "failed", outcome.mode, standard, "–", "–", "–", "–", said)
    how = f"{outcome.mode}, a part" if outcome.subset else outcome.mode
    counts = (f"{outcome.episodes:,}", f"{outcome.files:,}", size(outcome.bytes), size(outcome.to_fetch))
    return (name, outcome.state, how, standard, *counts, outcome.directory)


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count} B"


def _explain(outcomes: Sequence[Outcome]) -> None:
    """What a table has no room for: whole reasons, and what to do next."""
    for outcome in outcomes:
        if outcome.error:
            said = {k: v for k in ("where", "expected", "got", "next") if (v := outcome.error[k])}
            details = "".join(f"\n  {label}: {value}" for label, value in said.items())
            hint(f"{outcome.name}: failed: {outcome.error['message']}{details}")
        elif outcome.state == "verified" and outcome.mode == "stream":
            hint(f"{outcome.name}: registered; shards are fetched and verified when first read")
        if outcome.repaired:
            faults = "1 fault" if outcome.repaired == 1 else f"{outcome.repaired} faults"
            hint(f"{outcome.name}: overcame {faults} of the source on the way")
    for outcome in [outcome for outcome in outcomes if outcome.state == "verified"][:1]:
        hint(f"look into it: vla data inspect {outcome.name}")
