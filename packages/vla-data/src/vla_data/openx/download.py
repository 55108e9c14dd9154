"""Data sets from a source to this machine: copied, streamed, or registered where they lie.

Notable features:
- every data set ends as `verified` or `failed` with a reason; one that fails does not stop the others
- before a byte is fetched, the source's listing is held against `dataset_info.json`, and the room on disk
  against what is to come
- interrupted at any moment, the same call goes on where it stopped; shards get their names when they are
  whole, and `features.json`, which makes a directory a data set, is written last
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vla_data.errors import VlaError
from vla_data.files import inside
from vla_data.openx.catalog import full_name
from vla_data.openx.copying import Copying
from vla_data.openx.faults import DiskSpaceError
from vla_data.openx.local import LocalDataset, register
from vla_data.openx.lock import locked
from vla_data.openx.manifest import DownloadManifest, FileEntry
from vla_data.openx.placing import check_in_place, remove_facts, write_facts
from vla_data.openx.plan import Wanted, parse_shards
from vla_data.openx.sources import open_source
from vla_data.openx.tasks import DownloadConfig, Outcome, Task, failed, make_task, require_name
from vla_data.openx.transfer import Transfer
from vla_data.protocols import OnProgress, no_progress


def download(
    names: Sequence[str],
    config: DownloadConfig,
    on_progress: OnProgress = no_progress,
    *,
    dry_run: bool = False,
) -> list[Outcome]:
    """Fetch or register data sets.

    Args:
        names: NAME or NAME/VERSION; without a version, the catalogue's, else the newest there is.
        dry_run: only find out what would be done.

    Returns:
        One outcome a name, in their order.

    Raises:
        ConfigError: an option or name makes no sense.
        UnknownNameError: the kind of source is not known.
    """
    source = open_source(config.source, replace(config.patience, attempts=min(3, config.patience.attempts)))
    wanted = Wanted(parse_shards(config.shards) if config.shards else None, config.episodes)
    for name in names:
        require_name(name)
    unique = dict.fromkeys(full_name(name) for name in names)
    tasks = [make_task(source, name, wanted, config, on_progress) for name in unique]
    if not dry_run:
        tasks = _with_room(tasks, config.local_dir)
    return [t if isinstance(t, Outcome) else _carry_out(t, config, on_progress, dry_run) for t in tasks]


def _carry_out(task: Task, config: DownloadConfig, on_progress: OnProgress, dry_run: bool) -> Outcome:
    if dry_run:
        return task.outcome()
    plan = task.plan
    try:
        repaired = _WORK[task.mode](task, config, on_progress)
    except (VlaError, OSError) as error:
        return failed(plan.name, plan.version, plan.source.address, task.mode, error)
    register(
        LocalDataset(
            name=plan.name,
            version=plan.version,
            path=str(task.directory.absolute()),
            source=plan.source.address,
            mode=task.mode,
            state="verified",
            subset=bool(plan.subset),
        )
    )
    return task.outcome(state="verified", repaired=repaired)


def _copy(task: Task, config: DownloadConfig, on_progress: OnProgress) -> int:
    with locked(task.directory / ".download.lock", wait=False):
        return Copying(task.plan, task.directory, task.earlier, config.patience).run(config.jobs, on_progress)


def _stream(task: Task, config: DownloadConfig, on_progress: OnProgress) -> int:
    """Keep the facts, what lies beside them, and where the shards are; those are fetched as they are read."""
    plan = task.plan
    files = {o.name: FileEntry(o) for o in plan.objects}
    manifest = DownloadManifest(
        plan.name,
        plan.version,
        plan.source.address,
        "stream",
        "verified",
        "",
        files,
        plan.subset,
        plan.published,
    )
    with locked(task.directory / ".download.lock", wait=False):
        remove_facts(task.directory)
        for obj in plan.objects:
            if obj.name not in plan.records:
                target = inside(task.directory, obj.name, task.directory)
                Transfer(plan.source, target, config.patience, lambda _: None).run(obj)
        manifest.save(task.directory)
        write_facts(plan, task.directory)
    return 0


def _in_place(task: Task, config: DownloadConfig, on_progress: OnProgress) -> int:
    check_in_place(task.plan, task.directory, on_progress)
    return 0


_WORK = {"copy": _copy, "stream": _stream, "in place": _in_place}


def _with_room(tasks: list[Task | Outcome], root: Path) -> list[Task | Outcome]:
    """The tasks, those that do not fit on the disk behind the ones before them as failed."""
    below = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    free = shutil.disk_usage(below).free
    checked: list[Task | Outcome] = []
    for task in tasks:
        if isinstance(task, Task):
            needed = task.outcome().to_fetch
            if needed > free:
                error = DiskSpaceError(
                    "there is not enough room on the disk",
                    where=str(root),
                    expected=f"{needed / 1e9:,.1f} GB",
                    got=f"{max(free, 0) / 1e9:,.1f} GB free",
                    next_step="choose another --local-dir, or a part of it: --shards, --episodes",
                )
                task = failed(task.plan.name, task.plan.version, task.plan.source.address, task.mode, error)
            else:
                free -= needed
        checked.append(task)
    return checked
