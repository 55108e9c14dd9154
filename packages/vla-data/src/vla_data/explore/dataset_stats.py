"""The numbers of data sets: how many, how long, how fast, what is said, how actions and states are spread."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vla_data.config import to_dict
from vla_data.explore.distributions import Spread, spread
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.normalize import NormStats
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Block, Section, Table, Text
from vla_data.types import Camera, Episode

BATCH = 64  # episodes between two reports of progress
COMMON = 10  # instructions shown


@dataclass(frozen=True)
class DatasetStats:
    """The numbers of one split of one data set.

    Args:
        lengths: steps an episode.
        control_hz: as declared; None when nobody wrote it down.
        measured_hz: one over the median time between steps; None when time was only counted.
        instructions: how many different ones.
        common_instructions: the most frequent, with the number of episodes that have them.
        words: words an instruction; `vocabulary` counts the different ones.
        action, state: exact statistics over all finite steps; None without any number.
        distributions: of every dimension of the action, then of the state.
        non_finite: steps with a NaN or Inf in either; they are left out.
        steps_per_second: how fast the series were read.
    """

    name: str
    uri: str
    split: str
    robot: str
    episodes: int
    steps: int
    lengths: Spread
    control_hz: float | None
    measured_hz: float | None
    cameras: tuple[Camera, ...]
    instructions: int
    common_instructions: tuple[tuple[str, int], ...]
    words: Spread
    vocabulary: int
    action: NormStats | None
    state: NormStats | None
    distributions: tuple[Spread, ...]
    non_finite: int
    steps_per_second: float

    def to_dict(self) -> dict:
        """As JSON-ready values."""
        return to_dict(self)


def stats(
    uris: Sequence[str | Path], on_progress: OnProgress = no_progress, split: str = "train"
) -> list[DatasetStats]:
    """Statistics of a split of each data set, in the order given. No image is read.

    Raises:
        UnknownNameError, ConfigError, DataError: as `vla_data.open_episodes`.
    """
    return [dataset_stats(open_episodes(uri, split), str(uri), split, on_progress) for uri in uris]


def dataset_stats(
    reader: DescribedReader, uri: str, split: str, on_progress: OnProgress = no_progress
) -> DatasetStats:
    """Statistics of one opened split."""
    started = time.perf_counter()
    episodes = list(_read(reader, on_progress))
    elapsed = time.perf_counter() - started
    lengths = np.array([len(e) for e in episodes], np.int64)
    said = Counter(e.instruction for e in episodes if e.instruction)
    words = [text.lower().split() for text in said.elements()]
    numbers = {what: _finite([getattr(e, what) for e in episodes]) for what in ("action", "state")}
    hz = reader.robot.action.control_hz
    return DatasetStats(
        name=reader.name,
        uri=uri,
        split=split,
        robot=reader.robot.name,
        episodes=len(episodes),
        steps=int(lengths.sum()),
        lengths=spread("steps an episode", lengths),
        control_hz=None if reader.rate_assumed else hz,
        measured_hz=None if reader.rate_assumed else _measured_hz(episodes),
        cameras=tuple(reader.cameras.values()),
        instructions=len(said),
        common_instructions=tuple(said.most_common(COMMON)),
        words=spread("words an instruction", np.array([len(w) for w in words], np.int64)),
        vocabulary=len({w for text in words for w in text}),
        action=_norm_stats(numbers["action"], f"{reader.name}, action"),
        state=_norm_stats(numbers["state"], f"{reader.name}, state"),
        distributions=tuple(_distributions(reader, numbers)),
        non_finite=sum(_non_finite(e) for e in episodes),
        steps_per_second=float(lengths.sum() / max(elapsed, 1e-9)),
    )


def _read(reader: DescribedReader, on_progress: OnProgress) -> Iterator[Episode]:
    steps = 0
    for i in range(len(reader)):
        episode = reader.read_series(i)
        steps += len(episode)
        if (i + 1) % BATCH == 0 or i + 1 == len(reader):
            metrics = {"steps": float(steps)}
            on_progress(Progress(f"reading {reader.name}", i + 1, len(reader), "episodes", metrics))
        yield replace(episode, series={}, metadata={})  # all are kept until the end


def _finite(series: Sequence[np.ndarray]) -> np.ndarray:
    values = np.concatenate(series) if series else np.zeros((0, 0), np.float32)
    return values[np.isfinite(values).all(axis=1)]


def _non_finite(episode: Episode) -> int:
    fine = np.isfinite(episode.action).all(axis=1) & np.isfinite(episode.state).all(axis=1)
    return int((~fine).sum())


def _norm_stats(values: np.ndarray, where: str) -> NormStats | None:
    return NormStats.of([values], where) if values.size else None


def _measured_hz(episodes: Sequence[Episode]) -> float | None:
    gaps = [np.diff(e.time) for e in episodes if len(e) > 1]
    middle = float(np.median(np.concatenate(gaps))) if gaps else 0.0
    return round(1 / middle, 6) if middle > 0 else None


def _distributions(reader: DescribedReader, numbers: dict[str, np.ndarray]) -> Iterator[Spread]:
    names = {
        "action": [d.name for d in reader.robot.action.dims],
        "state": [d.name for d in reader.robot.state],
    }
    for what, values in numbers.items():
        for i in range(values.shape[1]):
            name = names[what][i] if i < len(names[what]) else str(i)
            yield spread(f"{what} {name}", values[:, i])


def sections(stats: Sequence[DatasetStats]) -> list[Section]:
    """A page over several data sets: one table across them, then each one's spreads."""
    return [Section("Data sets", (_overview(stats),)), *map(_section, stats)]


def _overview(stats: Sequence[DatasetStats]) -> Table:
    columns = (
        "data set", "robot", "episodes", "steps", "median length", "Hz",
        "cameras", "instructions", "words each", "action dims", "state dims",
    )  # fmt: skip
    return Table(columns, tuple(_overview_row(s) for s in stats))


def _overview_row(s: DatasetStats) -> tuple[str, ...]:
    return (
        f"{s.name} ({s.split})",
        s.robot,
        f"{s.episodes:,}",
        f"{s.steps:,}",
        f"{s.lengths.median:g}",
        f"{s.control_hz:g}" if s.control_hz else "unknown",
        ", ".join(f"{c.name} {c.width}×{c.height}" for c in s.cameras) or "none",
        f"{s.instructions:,}",
        f"{s.words.mean:.1f}",
        f"{s.action.dim if s.action else 0}",
        f"{s.state.dim if s.state else 0}",
    )


def _section(s: DatasetStats) -> Section:
    blocks: list[Block] = [s.lengths.chart("steps"), s.words.chart("words")]
    rows = tuple((text, f"{count:,}") for text, count in s.common_instructions)
    blocks.append(Table(("instruction", "episodes"), rows, f"{s.instructions} different instructions"))
    names = [d.name for d in s.distributions]
    blocks += [_norm_table(what, n, names) for what, n in (("action", s.action), ("state", s.state)) if n]
    blocks += [d.chart() for d in s.distributions]
    if s.non_finite:
        blocks.insert(0, Text(f"{s.non_finite} steps hold NaN or Inf and are left out."))
    return Section(f"{s.name} ({s.split})", tuple(blocks))


def _norm_table(what: str, n: NormStats, names: Sequence[str]) -> Table:
    columns = (n.mean, n.std, n.q01, n.q99, n.min, n.max)
    own = [name.removeprefix(f"{what} ") for name in names if name.startswith(f"{what} ")]
    rows = tuple((own[i], *(f"{c[i]:.4g}" for c in columns)) for i in range(n.dim))
    return Table((what, "mean", "std", "q01", "q99", "min", "max"), rows, f"exact over {n.count:,} steps")
