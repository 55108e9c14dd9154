"""Statistics that a mixture's batches are normalised by: each data set's own, or those of all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vla_data.explore.columns import Columns
from vla_data.mixture.sampling import Mixture
from vla_data.normalize import NormStats
from vla_data.protocols import EpisodeReader, OnProgress, Progress, no_progress
from vla_data.types import Episode

REPORT_EVERY = 64  # episodes


@dataclass(frozen=True)
class DatasetNorm:
    """Statistics of a data set's action and state, in its own dimensions; None for a robot without state."""

    action: NormStats
    state: NormStats | None


def mixture_norms(
    mixture: Mixture, how: Literal["each", "merged"] = "each", on_progress: OnProgress = no_progress
) -> tuple[DatasetNorm, ...]:
    """Statistics for each data set of a mixture, over every step of its usable episodes; no image is read.

    Args:
        how: "each" takes a data set by itself. "merged" takes each column of the embedding over all data
            sets that have it, every step counted once, whatever the weights.
    """
    found: dict[tuple[str, int, int], Columns] = {}
    for dataset, episode in _episodes(mixture, on_progress):
        for what, places in _places(mixture, dataset):
            values = np.ascontiguousarray(getattr(episode, what), np.float32)
            for i, column in enumerate(places):
                key = (what, dataset if how == "each" else -1, column)
                found.setdefault(key, Columns()).add(values[:, i : i + 1], mixture.names[dataset])

    def of(what: str, dataset: int, places: Sequence[int]) -> NormStats | None:
        one = [found[what, dataset if how == "each" else -1, column].stats([what]) for column in places]
        parts = [p.norm for p in one if p is not None]
        if not parts:
            return None
        columns = [
            sum((getattr(p, f) for p in parts), ()) for f in ("mean", "std", "q01", "q99", "min", "max")
        ]
        return NormStats(*columns, count=parts[0].count)

    norms = []
    for dataset in range(len(mixture.sources)):
        action, state = (of(what, dataset, places) for what, places in _places(mixture, dataset))
        assert action is not None  # an index holds one step at least
        norms.append(DatasetNorm(action, state))
    return tuple(norms)


def _places(mixture: Mixture, dataset: int) -> list[tuple[str, list[int]]]:
    return [
        ("action", mixture.action_columns.places[dataset].tolist()),
        ("state", mixture.state_columns.places[dataset].tolist()),
    ]


def _episodes(mixture: Mixture, on_progress: OnProgress) -> Iterator[tuple[int, Episode]]:
    total, done = sum(len(i.episodes) for i in mixture.indices), 0
    for dataset, (source, index) in enumerate(zip(mixture.sources, mixture.indices, strict=True)):
        for i in index.episodes.tolist():
            yield dataset, source.read_series(i) if isinstance(source, EpisodeReader) else source[i]
            done += 1
            if done % REPORT_EVERY == 0 or done == total:
                on_progress(Progress("statistics", done, total, "episodes"))
