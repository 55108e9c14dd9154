"""Which step of which episode stands at which position: arithmetic over (seed, position) alone.

Notable features:
- no state: position p of the stream is the same for every number of workers, and any is reached at once
- every step of a data set comes exactly once before any of them comes again (a pass)
- few episodes are in use at a time, and they are used by few workers

How. Positions are dealt to `lanes` in turn (p mod lanes). A lane runs through a table of `ROUND` slots
that says whose turn it is, so shares are multiples of 1/ROUND and exact over a round. The samples a data
set gives are numbered; pass k is the numbers [k·S, (k+1)·S) over its S steps. For a pass the episodes are
permuted and their steps laid end to end; each lane takes one piece of that line and goes through it in
blocks of a few episodes, whose steps are permuted. A worker that takes every w-th position, w dividing
the lanes, thus shares hardly an episode with another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from vla_data.errors import ConfigError
from vla_data.mixture.permutation import key_of, permutation

ROUND = 4096
LINES_KEPT = 2  # passes of a data set in use at once: lanes enter the next one within a few positions
SCHEDULE, SHIFT, EPISODES, STEPS = range(4)  # streams of randomness


@dataclass(frozen=True)
class Place:
    """Where the sample at `position` comes from: step `step` of episode `episode` in pass `lap`."""

    position: int
    dataset: int
    lap: int
    episode: int
    step: int


def slots_of(shares: Sequence[float]) -> tuple[int, ...]:
    """Slots of a round for each share, by largest remainder; every positive share has one at least."""
    total = sum(shares)
    exact = [share / total * ROUND for share in shares]
    slots = [max(1, int(x)) if share > 0 else 0 for x, share in zip(exact, shares, strict=True)]
    while (left := ROUND - sum(slots)) != 0:
        step = 1 if left > 0 else -1
        open_ = [i for i, n in enumerate(slots) if n > (0 if step > 0 else 1)]
        best = max(open_, key=lambda i: (step * (exact[i] - slots[i]), -i))
        slots[best] += step
    return tuple(slots)


class Order:
    """The order of all samples.

    Args:
        lengths: steps of each episode of each data set.
        slots: of each data set in a round; they sum to `ROUND`.
        seed: of every shuffle.
        lanes: into how many interleaved lanes the stream is divided.
        pool: episodes a lane has in use at a time, over all data sets by their slots, one each at least.
    """

    def __init__(
        self,
        lengths: Sequence[Int64[np.ndarray, "_episodes"]],
        slots: Sequence[int],
        seed: int,
        lanes: int,
        pool: int,
    ) -> None:
        if sum(slots) != ROUND or lanes < 1 or pool < 1 or len(slots) != len(lengths):
            raise ConfigError("an order cannot be made like this", got=f"{slots}, {lanes} lanes, pool {pool}")
        self.lengths, self.slots, self.seed, self.lanes = tuple(lengths), tuple(slots), seed, lanes
        self.steps = tuple(int(n.sum()) for n in lengths)
        share = [n / ROUND for n in slots]
        self.block = tuple(
            max(1, round(max(1.0, pool * s) * steps / max(1, len(n))))
            for s, steps, n in zip(share, self.steps, lengths, strict=True)
        )
        self._schedule, self._seen = _schedule(slots, seed)
        shuffled = permutation(ROUND, seed, SHIFT)
        self._shift = [shuffled(lane % ROUND) for lane in range(lanes)]
        self._before = _counts_before(self._schedule, self._shift, len(slots))
        self._lines: list[dict[int, np.ndarray]] = [{} for _ in slots]

    def at(self, position: int) -> Place:
        """What stands at a position, 0, 1, 2, … without end."""
        row, lane = divmod(position, self.lanes)
        dataset, number = self._turn(row, lane)
        lap, offset = divmod(number, self.steps[dataset])
        point = self._point(dataset, lap, offset)
        ends = self._line(dataset, lap)
        rank = int(np.searchsorted(ends, point, side="right"))
        step = point - (int(ends[rank - 1]) if rank else 0)
        episode = permutation(len(ends), self.seed, EPISODES, dataset, lap)(rank)
        return Place(position, dataset, lap, episode, step)

    def drawn(self, position: int) -> tuple[int, ...]:
        """How many samples each data set has given before a position."""
        total = np.zeros(len(self.slots), np.int64)
        for lane in range(self.lanes):
            rows = max(0, -(-(position - lane) // self.lanes))
            rounds, rest = divmod(rows + self._shift[lane], ROUND)
            inside = np.bincount(self._schedule[:rest], minlength=len(self.slots))
            total += rounds * np.array(self.slots) + inside - self._before[lane]
        return tuple(int(n) for n in total)

    def _turn(self, row: int, lane: int) -> tuple[int, int]:
        """Whose turn it is, and the number of the sample among that data set's."""
        rounds, slot = divmod(row + self._shift[lane], ROUND)
        dataset = int(self._schedule[slot])
        count = rounds * self.slots[dataset] + int(self._seen[slot]) - int(self._before[lane, dataset])
        return dataset, count * self.lanes + lane

    def _point(self, dataset: int, lap: int, offset: int) -> int:
        """Where on a pass's line of steps its sample number `offset` lies."""
        index, lane = divmod(offset, self.lanes)
        each, more = divmod(self.steps[dataset], self.lanes)
        start, size = lane * each + min(lane, more), each + (lane < more)
        blocks = max(1, round(size / self.block[dataset]))
        block = ((index + 1) * blocks - 1) // size
        first, stop = block * size // blocks, (block + 1) * size // blocks
        mixed = permutation(stop - first, self.seed, STEPS, dataset, lap, lane, block)
        return start + first + mixed(index - first)

    def _line(self, dataset: int, lap: int) -> np.ndarray:
        """Where each episode of a pass ends on the line of its steps, [episodes]."""
        kept = self._lines[dataset]
        if lap not in kept:
            lengths = self.lengths[dataset]
            shuffled = permutation(len(lengths), self.seed, EPISODES, dataset, lap)
            while len(kept) >= LINES_KEPT:
                kept.pop(next(iter(kept)))
            kept[lap] = np.cumsum(lengths[shuffled.many(np.arange(len(lengths)))])
        return kept[lap]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lines": [{} for _ in self.slots]}


def _schedule(slots: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A round: whose slot each is, and how often its owner had one before, [ROUND] each.

    Everybody's slots are spread evenly, so that any stretch of a lane has about the shares of the whole.
    """
    owners = np.repeat(np.arange(len(slots)), slots)
    begin = [key_of(seed, SCHEDULE, d) / 2.0**64 for d in range(len(slots))]
    times = [(np.arange(n) + b) / max(1, n) for n, b in zip(slots, begin, strict=True)]
    schedule = owners[np.argsort(np.concatenate(times), kind="stable")]
    seen = np.zeros(ROUND, np.int64)
    for dataset, count in enumerate(slots):
        seen[schedule == dataset] = np.arange(count)
    return schedule, seen


def _counts_before(schedule: np.ndarray, shifts: Sequence[int], datasets: int) -> np.ndarray:
    """Slots of each data set before each lane's first, [lanes, datasets]."""
    return np.stack([np.bincount(schedule[:shift], minlength=datasets) for shift in shifts])
