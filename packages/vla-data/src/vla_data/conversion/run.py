"""From one format to another: every array equal, images bit for bit where they are not encoded anew.

Notable features:
- an episode at a time is in memory; encoded frames are passed on as bytes, without being decoded
- RLDS is written shard by shard in a pool of processes, and an interrupted conversion goes on with the shards
  that are missing; LeRobot's tables count through the whole data set, so it is written in one go
- what was written is read back and compared with its source; only then does it appear under its name. Until
  then it lies in a hidden directory beside it
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vla_data.config import to_dict
from vla_data.conversion.comparison import Comparison, compare_all
from vla_data.conversion.config import ConvertConfig
from vla_data.conversion.source import Written
from vla_data.conversion.targets import DATA, WRITERS
from vla_data.errors import ConfigError, UnknownNameError
from vla_data.files import read_json, remove_parts, write_json
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.protocols import OnProgress, no_progress
from vla_data.usable import Skipped

DEFAULT = ConvertConfig()


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        splits: split → episodes written.
        skipped: what was left out, by split, and why.
        comparison: of what was written with its source; None when that was not asked for.
    """

    source: str
    target: str
    format: str
    name: str
    splits: dict[str, int]
    steps: int
    source_bytes: int
    bytes: int
    seconds: float
    skipped: dict[str, list[Skipped]] = field(default_factory=dict)
    comparison: Comparison | None = None


def convert(
    source: str | Path,
    target: Path,
    config: ConvertConfig = DEFAULT,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
    *,
    engine: str = "pool",
) -> Conversion:
    """Write the data set at `source` anew into the directory `target`.

    Args:
        source: as for `vla_data.open_episodes`.
        workers: processes that write RLDS shards; one per core without.
        engine: what runs those (`vla_data.engines`).

    Raises:
        UnknownNameError, ConfigError: there is no such data set, split or format, or the target holds files.
        DataError: an episode is damaged and `skip_corrupt` is off, or what was written reads back otherwise.
        MissingDependencyError: the extra of a format is not installed.
    """
    began = time.monotonic()
    _check(config, target)
    readers = _open(source, config)
    first = next(iter(readers.values()))
    config = replace(config, name=_name(config.name or first.name))
    work = _claim(target, str(source), config)
    try:
        written = WRITERS[config.to](readers, work, config, (engine, workers), on_progress)
        comparison = _compare(written, work / DATA, config, on_progress) if config.verify else None
        os.replace(work / DATA, target)
    finally:
        if config.to == "lerobot" or not (work / DATA).exists():  # nothing to go on with
            shutil.rmtree(work, ignore_errors=True)
    return Conversion(
        source=str(source),
        target=str(target),
        format=config.to,
        name=config.name,
        splits={w.split: len(w.indices) for w in written},
        steps=sum(w.steps for w in written),
        source_bytes=sum(r.bytes for r in first.split_rows() if r.name in readers),
        bytes=sum(p.stat().st_size for p in target.rglob("*") if p.is_file()),
        seconds=round(time.monotonic() - began, 3),
        skipped={w.split: list(w.skipped) for w in written if w.skipped},
        comparison=comparison,
    )


def _compare(
    written: Sequence[Written], data: Path, config: ConvertConfig, on_progress: OnProgress
) -> Comparison:
    pairs = [(w.source, open_episodes(data, w.split), w.indices) for w in written]
    return compare_all(pairs, exact=config.images in ("keep", "png"), on_progress=on_progress)


def _name(wanted: str) -> str:
    """A name both formats can carry."""
    name = re.sub(r"\W", "_", wanted)
    return name if name.isidentifier() else f"d_{name}"


def _claim(target: Path, source: str, config: ConvertConfig) -> Path:
    """The hidden directory to work in, with a note of what is converted there.

    Raises:
        ConfigError: an earlier attempt was of something else.
    """
    work = target.parent / f".{target.name}-convert"
    told = to_dict(replace(config, verify=True, skip_corrupt=False))  # finished shards fit either
    note, said = work / "config.json", {"source": source, "config": told}
    if note.is_file() and read_json(note) != said:
        raise ConfigError(
            "an unfinished conversion of something else is here",
            where=str(target),
            got=f"what it was is in {note}",
            next_step=f"choose another directory, or remove the unfinished one: rm -r {work}",
        )
    if work.is_dir():
        remove_parts(work)
    write_json(note, said)
    return work


def _open(source: str | Path, config: ConvertConfig) -> dict[str, DescribedReader]:
    first = open_episodes(source, config.splits[0]) if config.splits else _any_split(source)
    names = config.splits or tuple(r.name for r in first.split_rows() if r.episodes)
    return {
        name: first if name == getattr(first, "split", "") else open_episodes(source, name) for name in names
    }


def _any_split(source: str | Path) -> DescribedReader:
    """A data set opened by whichever split it has."""
    try:
        return open_episodes(source)
    except UnknownNameError as error:
        if "split" not in error.message or not error.known:
            raise
        return open_episodes(source, error.known[0])


def _check(config: ConvertConfig, target: Path) -> None:
    if config.to == "rlds" and config.images == "video":
        raise ConfigError(
            "RLDS holds no video",
            where="images",
            expected="keep, png or jpeg",
            got="video",
            next_step="--images keep, or --to lerobot",
        )
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise ConfigError(
            "the target already holds files",
            where=str(target),
            expected="a new or empty directory",
            next_step="choose another directory, or remove this one",
        )
