"""The directory of a data set: where it may lie, and the files that make it one."""

from __future__ import annotations

from pathlib import Path

from vla_data.errors import DataError
from vla_data.files import inside, write_bytes
from vla_data.formats.features import FILE_NAME as FEATURES
from vla_data.formats.rlds.layout import INFO, open_shard, read_layout
from vla_data.openx.plan import Plan
from vla_data.protocols import OnProgress, Progress


def safe_directory(root: Path, name: str, version: str) -> Path:
    """`root/name/version`, once no symbolic link on its way was found to lead out of `root`.

    Raises:
        DataError: one does.
    """
    path = inside(root, f"{name}/{version}", root)
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(
            "a symbolic link leads out of the directory for data sets",
            where=str(path),
            expected=f"a directory inside {root}",
            got=str(path.resolve()),
            next_step="remove the link, or name the directory it leads to with --local-dir",
        )
    return path


def write_facts(plan: Plan, directory: Path) -> None:
    """The files that make a directory a data set, the one that tells it last."""
    for name in (INFO, FEATURES):
        write_bytes(directory / name, plan.facts[name])


def remove_facts(directory: Path) -> None:
    """Let a directory be no data set while its files change."""
    for name in (FEATURES, INFO):
        (directory / name).unlink(missing_ok=True)


def check_layout(directory: Path) -> None:
    """Raise DataError unless the shards of every split are there and add up."""
    layout = read_layout(directory)
    for split in layout.splits:
        layout.check(split)


def check_in_place(plan: Plan, directory: Path, on_progress: OnProgress) -> None:
    """Hold a data set that stays where it is against its facts: sizes, and the header of every record.

    Raises:
        DataError: a shard is missing or damaged.
    """
    check_layout(directory)
    for done, (name, records) in enumerate(plan.records.items()):
        on_progress(Progress(plan.name, done, len(plan.records), "shards"))
        if records:
            open_shard(directory / name, records)
    on_progress(Progress(plan.name, len(plan.records), len(plan.records), "shards"))
