"""The numbers of data sets: how many, how long, how fast, what is said, how actions and states are spread."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import to_dict
from vla_data.explore.columns import EXACT_NUMBERS, Columns
from vla_data.explore.distributions import Spread, spread
from vla_data.explore.quantiles import SeriesStats
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.types import ActionDim, Camera, Episode, RobotSpec, StateDim
from vla_data.usable import ANY, Skipped, usable_episodes

BATCH = 64  # episodes between two reports of progress
COMMON = 10  # instructions and words shown
NUMBERS = ("action", "state")


@dataclass(frozen=True)
class DatasetStats:
    """The numbers of one split of one data set.

    Args:
        robot: with the meaning of action and state.
        lengths: steps an episode.
        control_hz: as declared; None when nobody wrote it down.
        measured_hz: one over the median time between steps of the median episode; None when time was only
            counted.
        series: what else leads with T: name → dtype and shape of a step.
        instructions: how many different ones.
        common_instructions: the most frequent, with the number of episodes that have them.
        words: words an instruction; `vocabulary` counts the different ones, `common_words` the most frequent.
        action, state: statistics over all finite steps; None without any number.
        non_finite: steps with a NaN or Inf in either; they are left out.
        skipped: why episodes were left out, and how many.
        bytes: of all files of the split.
        steps_per_second: how fast the series were read.
    """

    name: str
    uri: str
    split: str
    robot: RobotSpec
    episodes: int
    steps: int
    lengths: Spread
    control_hz: float | None
    measured_hz: float | None
    cameras: tuple[Camera, ...]
    series: tuple[tuple[str, str], ...]
    instructions: int
    common_instructions: tuple[tuple[str, int], ...]
    words: Spread
    vocabulary: int
    common_words: tuple[tuple[str, int], ...]
    action: SeriesStats | None
    state: SeriesStats | None
    non_finite: int
    skipped: tuple[tuple[str, int], ...]
    bytes: int
    steps_per_second: float

    @property
    def distributions(self) -> tuple[Spread, ...]:
        """Of every dimension of the action, then of the state."""
        return tuple(d for s in (self.action, self.state) if s for d in s.spreads)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        found = {f.name: to_dict(getattr(self, f.name)) for f in fields(self)}
        series = {what: series_dict(getattr(self, what)) for what in NUMBERS}
        return found | {"robot": self.robot.name} | series


def series_dict(series: SeriesStats | None) -> dict[str, Any] | None:
    """As JSON-ready values, one list a statistic; t-digests stay behind."""
    if series is None:
        return None
    inner = {"q10": series.q10, "q50": series.q50, "q90": series.q90}
    plain = to_dict({**to_dict(series.norm), **inner})
    return plain | {"exact": series.exact, "distributions": to_dict(series.spreads)}


def stats(
    uris: Sequence[str | Path],
    on_progress: OnProgress = no_progress,
    split: str = "train",
    *,
    skip_corrupt: bool = False,
    sketch: bool = False,
) -> list[DatasetStats]:
    """Statistics of a split of each data set, in the order given. No image is read.

    Args:
        skip_corrupt: leave damaged episodes out and count them, instead of raising.
        sketch: also make what `merge_stats` needs.

    Raises:
        UnknownNameError, ConfigError, DataError: as `vla_data.open_episodes`, and for a damaged episode.
        MissingDependencyError: `sketch`, and datasketches is not installed.
    """
    options = {"skip_corrupt": skip_corrupt, "sketch": sketch}
    return [dataset_stats(open_episodes(uri, split), str(uri), split, on_progress, **options) for uri in uris]


def dataset_stats(
    reader: DescribedReader,
    uri: str,
    split: str,
    on_progress: OnProgress = no_progress,
    *,
    skip_corrupt: bool = False,
    sketch: bool = False,
    exact_numbers: int = EXACT_NUMBERS,
) -> DatasetStats:
    """Statistics of one opened split; memory is bounded by `exact_numbers` × 4 bytes for each series."""
    started = time.perf_counter()
    skipped: list[Skipped] = []
    found = usable_episodes(reader, ANY, skip_corrupt=skip_corrupt, skipped=skipped)
    tally = _Tally(reader.name, exact_numbers)
    for episode in _reported(found, reader, skipped, on_progress):
        tally.add(episode)
    elapsed = time.perf_counter() - started
    lengths = np.array(tally.lengths, np.int64)
    hz = reader.robot.action.control_hz
    return DatasetStats(
        name=reader.name,
        uri=uri,
        split=split,
        robot=reader.robot,
        episodes=len(lengths),
        steps=int(lengths.sum()),
        lengths=spread("steps an episode", lengths),
        control_hz=None if reader.rate_assumed else hz,
        measured_hz=None if reader.rate_assumed else tally.measured_hz(),
        cameras=tuple(reader.cameras.values()),
        series=tuple(tally.series.items()),
        **tally.said(),
        action=tally.series_stats("action", reader.robot.action.dims, sketch),
        state=tally.series_stats("state", reader.robot.state, sketch),
        non_finite=tally.non_finite,
        skipped=tuple(Counter(s.kind for s in skipped).most_common()),
        bytes=sum(s.bytes for s in reader.split_rows() if s.name == split),
        steps_per_second=float(lengths.sum() / max(elapsed, 1e-9)),
    )


def _reported(
    episodes: Iterable[tuple[int, Episode]],
    reader: DescribedReader,
    skipped: Sequence[Skipped],
    on_progress: OnProgress,
) -> Iterator[Episode]:
    steps, total, stage = 0, len(reader), f"reading {reader.name}"
    for index, episode in episodes:
        steps += len(episode)
        if (index + 1) % BATCH == 0:
            on_progress(Progress(stage, index + 1, total, "episodes", {"steps": float(steps)}))
        yield episode
    said = {"steps": float(steps)} | ({"skipped": float(len(skipped))} if skipped else {})
    on_progress(Progress(stage, total, total, "episodes", said))


@dataclass
class _Tally:
    """What is counted while episodes go by."""

    where: str
    limit: int
    lengths: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    series: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Columns] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    non_finite: int = 0

    def __post_init__(self) -> None:
        self.columns = {what: Columns(self.limit) for what in NUMBERS}

    def add(self, episode: Episode) -> None:
        self.lengths.append(len(episode))
        if episode.instruction.strip():
            self.texts[episode.instruction] += 1
        if len(episode) > 1:
            self.gaps.append(float(np.sort(np.diff(episode.time))[(len(episode) - 1) // 2]))
        if not self.series:
            self.series = {n: f"{a.dtype} {list(a.shape[1:])}" for n, a in episode.series.items()}
        self.non_finite += len(episode) - int(self._keep_finite(episode).sum())

    def _keep_finite(self, episode: Episode) -> np.ndarray:
        """Which steps are finite throughout, [T]; each series' own finite steps are collected."""
        fine = np.ones(len(episode), bool)
        for what in NUMBERS:
            values = getattr(episode, what)
            self.widths[what] = values.shape[1]
            if not np.isfinite(values).all():
                finite = np.isfinite(values).all(axis=1)
                fine, values = fine & finite, values[finite]
            self.columns[what].add(np.asarray(values, np.float32), f"{self.where}, {episode.id}, {what}")
        return fine

    def series_stats(
        self, what: str, dims: Sequence[ActionDim | StateDim], sketch: bool
    ) -> SeriesStats | None:
        """Of all finite steps; dimensions by their declared names, and by number where those end."""
        count = self.widths.get(what, 0)
        names = [f"{what} {dims[i].name if i < len(dims) else i}" for i in range(count)]
        return self.columns[what].stats(names, sketch)

    def measured_hz(self) -> float | None:
        middle = float(np.median(self.gaps)) if self.gaps else 0.0
        return round(1 / middle, 6) if middle > 0 else None

    def said(self) -> dict[str, Any]:
        """What episodes are asked for."""
        split = {text: text.lower().split() for text in self.texts}
        words: Counter[str] = Counter()
        for text, count in self.texts.items():
            for word in split[text]:
                words[word.strip(".,;:!?\"'()")] += count
        words.pop("", None)
        lengths = [len(split[text]) for text in self.texts.elements()]
        return {
            "instructions": len(self.texts),
            "common_instructions": tuple(self.texts.most_common(COMMON)),
            "words": spread("words an instruction", np.array(lengths, np.int64)),
            "vocabulary": len(words),
            "common_words": tuple(words.most_common(2 * COMMON)),
        }
