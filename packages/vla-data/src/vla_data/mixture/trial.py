"""A mixture tried out: what it is made of, how many samples each data set gave, how fast."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from vla_data.mixture.prefetch import iterate
from vla_data.mixture.sampling import Mixture, ShareRow
from vla_data.pool import cpu_count
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Section, Table, Text

REPORT_EVERY = 64  # samples


@dataclass(frozen=True)
class MixtureTrial:
    """What a mixture is and what came of its first samples.

    Args:
        rows: each data set in numbers; `drawn` and `lacks` go with them.
        drawn: samples that came of each data set.
        lacks: cameras of the window that each data set has not.
        epoch_samples: samples of an epoch.
        action, state: names of the columns of a batch.
        samples: how many were read, with all their images.
        samples_per_second: of the later half; the first has every episode still to open.
        open_bytes: about what one process has in use at a time, and what it would have as one of eight.
        cache_bytes: what it may keep.
    """

    rows: tuple[ShareRow, ...]
    drawn: tuple[int, ...]
    lacks: tuple[tuple[str, ...], ...]
    epoch_samples: int
    action: tuple[str, ...]
    state: tuple[str, ...]
    samples: int
    samples_per_second: float
    open_bytes: tuple[int, int]
    cache_bytes: int

    def sections(self) -> list[Section]:
        """As a table and what there is to say of it."""
        columns: dict[str, list[str]] = {
            "data set": [r.name for r in self.rows],
            "weight": [f"{r.weight:g}" for r in self.rows],
            "share": [f"{100 * r.share:.1f}%" for r in self.rows],
            "episodes": [f"{r.episodes:,}" for r in self.rows],
            "steps": [f"{r.steps:,}" for r in self.rows],
            "passes": [f"{r.laps:.2f}" for r in self.rows],
            "drawn": [f"{n:,}" for n in self.drawn],
        }
        if any(r.skipped for r in self.rows):
            counts = [", ".join(f"{n} {kind}" for kind, n in r.skipped.items()) for r in self.rows]
            columns["left out"] = [text or "–" for text in counts]
        if any(self.lacks):
            columns["lacks"] = [", ".join(roles) or "–" for roles in self.lacks]
        rows = tuple(zip(*columns.values(), strict=True))
        return [Section("Mixture", (Table(tuple(columns), rows), *map(Text, self._remarks())))]

    def _remarks(self) -> list[str]:
        alone, of_eight = (f"{n / 1e6:,.0f} MB" for n in self.open_bytes)
        said = [
            f"An epoch has {self.epoch_samples:,} samples; passes are how often it goes through a data set. "
            f"{self.samples:,} samples were read with their images, at last {self.samples_per_second:,.0f} a "
            "second.",
            f"Columns of an action: {', '.join(self.action)}. Of a state: {', '.join(self.state) or 'none'}.",
            f"Episodes in use at a time take about {alone} in one process, {of_eight} in each of eight; each "
            f"may keep {self.cache_bytes / 1e6:,.0f} MB.",
        ]
        if self.open_bytes[0] > self.cache_bytes:
            said.append(
                "One process alone would read episodes again and again: raise cache_bytes or lower pool."
            )
        return said


class _Looking:
    """A mixture whose samples are looked at; gives the data set each came from."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __getitem__(self, position: int) -> int:
        sample = self.mixture[position]
        for observation in sample.window.observations:
            for camera in observation.images:
                observation.images[camera]
        return sample.dataset


def try_mixture(
    mixture: Mixture, samples: int, *, workers: int | None = None, on_progress: OnProgress = no_progress
) -> MixtureTrial:
    """Read the first `samples` samples with all their images, in `workers` processes (None: one a core).

    Raises:
        DataError: an episode or an image is damaged.
    """
    drawn: Counter[int] = Counter()
    times = [time.perf_counter()]
    items = iterate(_Looking(mixture), range(samples), workers=cpu_count() if workers is None else workers)
    for done, dataset in enumerate(items, 1):
        drawn[dataset] += 1
        times.append(time.perf_counter())
        if done % REPORT_EVERY == 0 or done == samples:
            on_progress(Progress("read", done, samples, "samples"))
    middle = len(times) // 2
    roles = mixture.config.window.cameras
    lacks = [tuple(r for r in roles if r not in mixture.first(d).images) for d in range(len(mixture.sources))]
    return MixtureTrial(
        rows=tuple(mixture.rows),
        drawn=tuple(drawn[d] for d in range(len(mixture.sources))),
        lacks=tuple(lacks),
        epoch_samples=len(mixture),
        action=mixture.action_columns.names,
        state=mixture.state_columns.names,
        samples=samples,
        samples_per_second=(len(times) - 1 - middle) / max(times[-1] - times[middle], 1e-9),
        open_bytes=(mixture.open_bytes(1), mixture.open_bytes(8)),
        cache_bytes=mixture.config.cache_bytes,
    )
