"""A changed copy of a data set: every episode read, changed and written as RLDS, shard by shard over a pool.

The directory appears under its name when all of it is whole. Frames that stay as they were are copied as the
bytes they are stored in.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_data.engines import run_units
from vla_data.errors import ConfigError, DataError
from vla_data.files import atomic_directory
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.images import EncodedImages, ImageEncoding, sniff
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.types import Episode
from vla_data.usable import Skipped

VERSION = "1.0.0"
Change = Callable[[Episode, Any], Iterable[Episode]]
Item = tuple[int, Any]


@dataclass(frozen=True)
class CopyConfig:
    """How a changed copy is written.

    Args:
        episodes_per_shard: of the source; also the unit of work.
        image_encoding: None keeps JPEG where every camera is stored so, and loses nothing otherwise (PNG).
        skip_corrupt: leave out episodes that cannot be read or written instead of raising.
        workers: processes; None: one a core.
        engine: what runs the shards (`vla_data.engines`).
    """

    episodes_per_shard: int = 50
    image_encoding: ImageEncoding | None = None
    skip_corrupt: bool = False
    workers: int | None = None
    engine: str = "pool"

    def __post_init__(self) -> None:
        if self.episodes_per_shard < 1:
            raise ConfigError(
                "a shard of no episodes",
                where="CopyConfig.episodes_per_shard",
                expected="at least 1",
                got=str(self.episodes_per_shard),
            )


@dataclass(frozen=True, eq=False)
class _Unit:
    """One shard: some episodes of a split, each with what the change is told of it."""

    uri: str
    split: str
    items: tuple[Item, ...]
    change: Change
    directory: str
    name: str
    shard: tuple[int, int]
    encoding: ImageEncoding
    skip_corrupt: bool

    def __str__(self) -> str:
        return f"shard {self.shard[0]} of {self.shard[1]}"


@dataclass
class _Written:
    """What came of a unit."""

    episodes: int = 0
    steps: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def rewrite(
    uri: str,
    split: str,
    out: Path,
    items: Sequence[Item],
    change: Change,
    config: CopyConfig | None = None,
    *,
    stage: str = "write",
    skipped: list[Skipped] | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Write `out/<name>/1.0.0`: for each (index, told) in order, what `change(episode, told)` gives.

    Args:
        uri, split: the source.
        items: which episodes, each with whatever `change` needs to know of it.
        change: runs in worker processes, so it must be picklable.
        stage: what the work is called in the progress shown.
        skipped: each episode left out is added here.

    Returns:
        directory, episodes, steps, bytes.

    Raises:
        DataError: nothing is left to write, or an episode cannot be read or written.
    """
    config = config or CopyConfig()
    reader = open_episodes(uri, split)
    _, first = first_readable(reader, [index for index, _ in items], config.skip_corrupt)
    name = re.sub(r"\W", "_", reader.name).lower()
    directory = Path(out) / name / VERSION
    encoding = config.image_encoding or stored_encoding(first)
    with atomic_directory(directory) as part:
        unit = _Unit(uri, split, (), change, str(part), name, (0, 1), encoding, config.skip_corrupt)
        units = _units(unit, items, config.episodes_per_shard)
        done = _write_all(units, config, lambda n: on_progress(Progress(stage, n, len(items), "episodes")))
        finish_dataset(part, description=f"A changed copy of {reader.name}.")
    if skipped is not None:
        skipped += sorted(done.skipped, key=lambda s: s.index)
    size = sum(p.stat().st_size for p in directory.iterdir())
    return {"directory": os.fspath(directory), "episodes": done.episodes, "steps": done.steps, "bytes": size}


def _write_all(units: Sequence[_Unit], config: CopyConfig, tell: Callable[[int], None]) -> _Written:
    """Run every unit; `tell` hears how many source episodes are done."""
    total, finished = _Written(), 0
    tell(finished)
    for unit, result in _finished(units, config):
        finished += len(unit.items)
        total.episodes, total.steps = total.episodes + result.episodes, total.steps + result.steps
        total.skipped += result.skipped
        tell(finished)
    return total


def skipped_summary(skipped: Sequence[Skipped]) -> dict[str, Any]:
    """`skipped`: how many episodes were left out; and where any was, `reasons`: reason → episodes."""
    reasons = dict(Counter(s.kind for s in skipped))
    return {"skipped": len(skipped), **({"reasons": reasons} if reasons else {})}


def first_readable(
    reader: DescribedReader, indices: Sequence[int], skip_corrupt: bool = False
) -> tuple[int, Episode]:
    """The first of some episodes; with `skip_corrupt`, the first that can be read.

    Raises:
        DataError: it cannot be read, or none is left.
    """
    for index in indices:
        try:
            return index, reader[index]
        except DataError:
            if not skip_corrupt:
                raise
    raise DataError("no episode is left to write", where=reader.name, expected="at least one that is usable")


def stored_encoding(episode: Episode) -> ImageEncoding:
    """JPEG when every camera of an episode is stored as JPEG, else PNG, which loses nothing."""
    sequences = list(episode.images.values())
    jpeg = all(isinstance(s, EncodedImages) and all(sniff(f) == "jpeg" for f in s.frames) for s in sequences)
    return "jpeg" if sequences and jpeg else "png"


def _units(first: _Unit, items: Sequence[Item], size: int) -> list[_Unit]:
    """`first` for each stretch of `size` items."""
    groups = [tuple(items[i : i + size]) for i in range(0, len(items), size)]
    return [replace(first, items=group, shard=(i, len(groups))) for i, group in enumerate(groups)]


def _finished(units: Sequence[_Unit], config: CopyConfig) -> Iterator[tuple[_Unit, _Written]]:
    """Each unit with what came of it; a single one is not worth a process of its own."""
    if len(units) == 1:
        yield units[0], _run(units[0])
    else:
        yield from run_units(_run, units, config.engine, workers=config.workers, result=_Written)


def _run(unit: _Unit) -> _Written:
    """Write one shard."""
    reader = open_episodes(unit.uri, unit.split)
    written = _Written()
    with RldsWriter(
        Path(unit.directory),
        unit.name,
        reader.robot,
        reader.cameras,
        version=VERSION,
        split=unit.split,
        shard=unit.shard,
        image_encoding=unit.encoding,
    ) as writer:
        for index, told in unit.items:
            try:
                for episode in unit.change(reader[index], told):
                    writer.write(episode)
                    written.episodes, written.steps = written.episodes + 1, written.steps + len(episode)
            except DataError as error:
                if not unit.skip_corrupt:
                    raise
                written.skipped.append(Skipped(index, getattr(error, "kind", error.message), str(error)))
    return written
