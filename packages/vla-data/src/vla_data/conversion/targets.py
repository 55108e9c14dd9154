"""The formats a conversion writes: LeRobot in one go, RLDS as shards in a pool of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_data.config import from_dict, to_dict
from vla_data.conversion.config import ConvertConfig
from vla_data.conversion.source import Written, episodes_to_write, frame_encoding, spread, take
from vla_data.engines import run_units
from vla_data.errors import DataError
from vla_data.files import read_json, write_json
from vla_data.formats.describe import DescribedReader
from vla_data.images import ImageEncoding
from vla_data.protocols import EpisodeWriter, OnProgress, Progress
from vla_data.usable import Skipped

Readers = Mapping[str, DescribedReader]
Engine = tuple[str, int | None]  # its name, and the processes it may use
Write = Callable[[Readers, Path, ConvertConfig, Engine, OnProgress], list[Written]]
DATA = "data"  # the new data set, inside the directory that is worked in
BATCH = 8  # episodes between two reports of progress


def write_lerobot(
    readers: Readers, work: Path, config: ConvertConfig, engine: Engine, on_progress: OnProgress
) -> list[Written]:
    """One LeRobot data set of all splits, which follow one another in it."""
    from vla_data.formats.lerobot import LeRobotWriter

    first = next(iter(readers.values()))
    total = sum(len(take(r, config)) for r in readers.values())
    written: list[Written] = []
    with LeRobotWriter(
        work / DATA,
        config.name,
        first.robot,
        first.cameras,
        split=next(iter(readers)),
        images=config.images,
        rate_assumed=first.rate_assumed,
    ) as writer:
        for split, reader in readers.items():
            if written:
                writer.begin_split(split)
            done = sum(len(w.indices) + len(w.skipped) for w in written)
            tell = _teller(f"converting {first.name}", done, total, on_progress)
            written.append(_write_split(writer, split, reader, config, tell))
    return written


def _teller(stage: str, done: int, total: int, on_progress: OnProgress) -> Callable[[int, int], None]:
    def tell(episodes: int, steps: int) -> None:
        metrics = {"steps": float(steps)}
        on_progress(Progress(stage, done + episodes, total, "episodes", metrics))

    return tell


def _write_split(
    writer: EpisodeWriter,
    split: str,
    reader: DescribedReader,
    config: ConvertConfig,
    tell: Callable[[int, int], None],
) -> Written:
    skipped: list[Skipped] = []
    kept, steps = write_episodes(writer, reader, take(reader, config), config, skipped, tell)
    return Written(split, reader, tuple(kept), steps, tuple(skipped))


def write_episodes(
    writer: EpisodeWriter,
    reader: DescribedReader,
    indices: range,
    config: ConvertConfig,
    skipped: list[Skipped],
    tell: Callable[[int, int], None],
) -> tuple[list[int], int]:
    """Write a stretch of a reader; which episodes were written, and their steps."""
    kept: list[int] = []
    steps = 0
    for index, episode in episodes_to_write(reader, indices, config, skipped):
        try:
            writer.write(episode)
        except DataError as error:
            if not config.skip_corrupt:
                raise
            skipped.append(Skipped(index, error.message, str(error)))
            continue
        kept.append(index)
        steps += len(episode)
        if len(kept) % BATCH == 0:
            tell(len(kept) + len(skipped), steps)
    tell(len(kept) + len(skipped), steps)
    return kept, steps


@dataclass(frozen=True)
class _Shard:
    """A unit of work: a stretch of a split that makes one shard."""

    reader: Any
    work: str
    config: ConvertConfig
    split: str
    indices: range
    number: tuple[int, int]
    encoding: ImageEncoding

    def __str__(self) -> str:
        return f"shard {self.number[0]} of {self.number[1]} of split {self.split}"

    @property
    def receipt(self) -> Path:
        return Path(self.work) / "shards" / f"{self.split}-{self.number[0]:05d}-of-{self.number[1]:05d}.json"


def write_rlds(
    readers: Readers, work: Path, config: ConvertConfig, engine: Engine, on_progress: OnProgress
) -> list[Written]:
    """One RLDS data set; shards whose receipts are there were written by an earlier attempt."""
    from vla_data.formats.rlds import finish_dataset

    first = next(iter(readers.values()))
    encoding = frame_encoding(first, config.images)
    shards = [s for split, r in readers.items() for s in _shards(r, work, config, split, encoding)]
    left = [s for s in shards if not s.receipt.is_file()]
    stage, total = f"converting {first.name}", sum(len(s.indices) for s in shards)
    done = total - sum(len(s.indices) for s in left)
    on_progress(Progress(stage, done, total, "episodes"))
    name, workers = engine
    for shard, _ in run_units(_write_shard, left, name, workers=workers):
        done += len(shard.indices)
        on_progress(Progress(stage, done, total, "episodes"))
    finish_dataset(work / DATA)
    return [_written(split, reader, shards) for split, reader in readers.items()]


def _shards(
    reader: DescribedReader, work: Path, config: ConvertConfig, split: str, encoding: ImageEncoding
) -> list[_Shard]:
    parts = spread(take(reader, config), config.episodes_per_shard)
    return [
        _Shard(reader, str(work), config, split, part, (i, len(parts)), encoding)
        for i, part in enumerate(parts)
    ]


def _write_shard(shard: _Shard) -> None:
    """Write one shard, then its receipt."""
    from vla_data.formats.rlds import RldsWriter

    skipped: list[Skipped] = []
    with RldsWriter(
        Path(shard.work) / DATA,
        shard.config.name,
        shard.reader.robot,
        shard.reader.cameras,
        split=shard.split,
        shard=shard.number,
        image_encoding=shard.encoding,
    ) as writer:
        kept, steps = write_episodes(
            writer, shard.reader, shard.indices, shard.config, skipped, lambda *_: None
        )
    write_json(shard.receipt, {"kept": kept, "steps": steps, "skipped": to_dict(skipped)})


def _written(split: str, reader: DescribedReader, shards: list[_Shard]) -> Written:
    receipts = [read_json(s.receipt) for s in shards if s.split == split]
    kept = tuple(i for r in receipts for i in r["kept"])
    skipped = tuple(from_dict(Skipped, s) for r in receipts for s in r["skipped"])
    return Written(split, reader, kept, sum(r["steps"] for r in receipts), skipped)


WRITERS: dict[str, Write] = {"lerobot": write_lerobot, "rlds": write_rlds}
