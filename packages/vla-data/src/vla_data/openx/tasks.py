"""One data set that is to be had: which version, how, where to, what is here already; how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vla_data.errors import ConfigError, DataError, UnknownNameError, VlaError
from vla_data.openx.catalog import catalog, find_entry, full_name
from vla_data.openx.copying import bytes_here
from vla_data.openx.entries import find_standard
from vla_data.openx.faults import Patience
from vla_data.openx.local import Mode
from vla_data.openx.manifest import DownloadManifest, load_manifest
from vla_data.openx.placing import safe_directory
from vla_data.openx.plan import Plan, Wanted, make_plan
from vla_data.openx.remote import Source
from vla_data.openx.sources import PUBLIC, Folder
from vla_data.protocols import OnProgress, Progress

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class DownloadConfig:
    """How data sets are fetched.

    Args:
        source: gs://BUCKET/PREFIX, https://MIRROR/PATH, file://DIRECTORY or a path.
        local_dir: data sets go to NAME/VERSION below it.
        copy: fetch every shard now; else they are streamed, or read where they lie if that is a directory.
        shards: numbers of the shards of each split, such as `0-3,7`; None for all.
        episodes: of each split, only the first shards that together hold so many.
        jobs: files fetched at once.
        patience: how long to go on when the source fails.
    """

    source: str = PUBLIC
    local_dir: Path = Path("data")
    copy: bool = False
    shards: str | None = None
    episodes: int | None = None
    jobs: int = 8
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.jobs < 1 or (self.episodes is not None and self.episodes < 1):
            raise ConfigError("jobs and episodes are at least 1")


@dataclass(frozen=True)
class Outcome:
    """How a data set ended.

    Args:
        state: `planned` only for a dry run.
        directory: where it is opened from.
        bytes: of all its files; `to_fetch` of those that were not here before.
        repaired: faults of the source that were overcome on the way.
        subset: only some shards were asked for.
        standard: how far what is known of its action, state and cameras was checked; empty when nothing is.
        reason: why it failed, in a line; `error` holds all of it.
    """

    name: str
    version: str
    source: str
    state: Literal["verified", "failed", "planned"]
    mode: Mode
    directory: str = ""
    episodes: int = 0
    files: int = 0
    bytes: int = 0
    to_fetch: int = 0
    repaired: int = 0
    subset: bool = False
    standard: str = ""
    reason: str = ""
    error: dict[str, str | int | None] | None = None


@dataclass(frozen=True)
class Task:
    """A data set that can be fetched."""

    plan: Plan
    mode: Mode
    directory: Path
    earlier: DownloadManifest | None
    here: int  # bytes

    def outcome(self, **changes: object) -> Outcome:
        """As planned, with `changes`."""
        plan = self.plan
        files = len(plan.objects) + len(plan.facts)
        size = plan.bytes + sum(map(len, plan.facts.values()))
        return replace(
            Outcome(plan.name, plan.version, plan.source.address, "planned", self.mode, str(self.directory)),
            episodes=plan.episodes,
            files=files,
            bytes=size,
            subset=bool(plan.subset),
            standard=standard_status(plan.name),
            **{"to_fetch": plan.bytes - self.here if self.mode == "copy" else 0, **changes},
        )


def make_task(
    source: Source, text: str, wanted: Wanted, config: DownloadConfig, on_progress: OnProgress
) -> Task | Outcome:
    """What is to be done for a data set, or why it cannot be."""
    name, _, version = (text if isinstance(source, Folder) else full_name(text)).partition("/")
    on_progress(Progress(f"plan {text}", 0, message=f"asking {source.address}"))
    mode: Mode = "copy" if config.copy else "in place" if isinstance(source, Folder) else "stream"
    try:
        version = version or choose_version(source, name)
        directory = safe_directory(config.local_dir, name, version)
        earlier = load_manifest(directory)
        if mode == "stream" and earlier and (earlier.mode, earlier.state) == ("copy", "verified"):
            mode = "copy"  # it is here already: verify it rather than forget it
        if mode == "in place":
            _refuse_subset(wanted, source)
            directory = Path(source.where(name, version))
        plan = make_plan(source, name, version, _extended(wanted, earlier, mode), config.patience)
        here = bytes_here(plan, directory) if mode == "copy" else 0
        return Task(plan, mode, directory, earlier, here)
    except (VlaError, OSError) as error:
        return failed(name, version, source.address, mode, error)


def choose_version(source: Source, name: str) -> str:
    """The catalogue's version of a data set if the source may have it, else the newest it has.

    Raises:
        SourceError: the source cannot be asked.
        UnknownNameError: the public bucket is asked for what the catalogue does not have.
        ConfigError: the source cannot list versions and the catalogue has none.
    """
    entry = catalog().get(name)
    if entry is None and source.address == PUBLIC:
        try:
            find_entry(name)
        except UnknownNameError as error:
            error.next_step = f"{error.next_step} All of them: vla data list. Any other: {name}/VERSION"
            raise
    there = source.versions(name)
    if entry is not None and entry.version and (not there or entry.version in there):
        return entry.version
    if there:
        return there[-1]
    raise ConfigError(
        "no version of this data set is known",
        where=source.where(name, "VERSION"),
        got=None if entry is None else "a name derived from other data sets, which the public bucket lacks",
        next_step=f"name one, such as {name}/1.0.0, or another --source",
    )


def failed(name: str, version: str, source: str, mode: Mode, error: BaseException) -> Outcome:
    """The outcome of a data set that could not be had."""
    known = error if isinstance(error, VlaError) else DataError(str(error), got=type(error).__name__)
    reason = known.message + "".join(f": {part}" for part in (known.where, known.got) if part)
    standard = standard_status(name)
    return Outcome(
        name, version, source, "failed", mode, standard=standard, reason=reason, error=known.to_dict()
    )


def standard_status(name: str) -> str:
    """How far the entry of a data set was checked; empty when it has none."""
    entry = find_standard(name)
    return "" if entry is None else entry.status


def _extended(wanted: Wanted, earlier: DownloadManifest | None, mode: Mode) -> Wanted:
    """What is here already stays: a smaller request does not shrink a copy."""
    if mode != "copy" or earlier is None or earlier.mode != "copy" or earlier.state != "verified":
        return wanted
    return replace(wanted, also=earlier.subset) if earlier.subset else Wanted()


def require_name(text: str) -> None:
    name, slash, version = text.partition("/")
    if not NAME.fullmatch(name) or (slash and not NAME.fullmatch(version)):
        raise ConfigError("this is no name of a data set", got=repr(text), expected="NAME or NAME/VERSION")


def _refuse_subset(wanted: Wanted, source: Source) -> None:
    if wanted.shards is not None or wanted.episodes is not None:
        raise ConfigError(
            "a part of a data set cannot be registered in place",
            where=source.address,
            next_step="copy the part with --copy, or register the whole",
        )
