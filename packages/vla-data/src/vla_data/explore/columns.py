"""The steps of a series that may not fit in memory: kept while they do, in t-digests beyond."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError
from vla_data.explore.distributions import spread
from vla_data.explore.quantiles import (
    LEVELS,
    Moments,
    SeriesStats,
    digested_stats,
    merge_digests,
    new_digest,
    series_stats,
)

EXACT_NUMBERS = 150_000_000  # float32: 600 MB, 10 million steps of 15 numbers
BLOCK = 65_536  # steps


class Columns:
    """Collects the steps of a series, float32, in blocks that are never copied.

    Mean, deviation, minimum and maximum are exact however long it is. Quantiles are exact up to `limit`
    numbers and a t-digest's beyond; the result says which.

    Args:
        limit: numbers kept before all of them go into t-digests.
    """

    def __init__(self, limit: int = EXACT_NUMBERS) -> None:
        self._limit = limit
        self._blocks: list[np.ndarray] = []  # full ones
        self._tail: np.ndarray | None = None
        self._fill = 0  # steps in the tail
        self._moments: Moments | None = None  # of everything but the tail
        self._digests: list[Any] = []  # likewise, once there is too much

    def add(self, values: Float32[np.ndarray, "steps dim"], where: str = "series") -> None:
        """Append finite steps.

        Raises:
            DataError: they are of another width than those before.
        """
        if self._tail is None:
            self._tail = np.empty((BLOCK, values.shape[1]), np.float32)
        if values.shape[1] != self._tail.shape[1]:
            raise DataError(
                "a series changes its width within a data set",
                where=where,
                expected=f"{self._tail.shape[1]} numbers a step",
                got=f"{values.shape[1]}",
            )
        while len(values):
            room = values[: BLOCK - self._fill]
            self._tail[self._fill : self._fill + len(room)] = room
            self._fill += len(room)
            values = values[len(room) :]
            if self._fill == BLOCK:
                self._seal(self._tail)

    def stats(self, names: Sequence[str], sketch: bool = False) -> SeriesStats | None:
        """The statistics so far; None without any number.

        Args:
            names: of the dimensions.
            sketch: also give t-digests, so that the result can be merged with others.
        """
        if self._tail is None or not self._tail.shape[1]:
            return None
        rest = self._tail[: self._fill]
        moments = Moments.of(rest).plus(self._moments)
        if not moments.count:
            return None
        if self._digests:
            pairs = zip(self._digests, _sketch([rest]), strict=True)
            return digested_stats(moments, [merge_digests(pair) for pair in pairs], names)
        columns = [self._column(i) for i in range(self._tail.shape[1])]
        levels = np.array([np.quantile(c, LEVELS) for c in columns]).T
        spreads = [spread(n, c) for n, c in zip(names, columns, strict=True)]
        return series_stats(moments, levels, True, spreads, _sketch(list(self._filled())) if sketch else [])

    def _seal(self, block: np.ndarray) -> None:
        """Put the full tail away."""
        self._moments = Moments.of(block).plus(self._moments)
        self._fill = 0
        if self._digests:
            self._digests = [merge_digests(p) for p in zip(self._digests, _sketch([block]), strict=True)]
            return
        self._blocks.append(block)
        if (len(self._blocks) + 1) * block.size > self._limit:
            self._digests, self._blocks = _sketch(self._blocks), []
        self._tail = np.empty_like(block)

    def _filled(self) -> Iterator[np.ndarray]:
        assert self._tail is not None
        yield from (*self._blocks, self._tail[: self._fill])

    def _column(self, index: int) -> np.ndarray:
        return np.concatenate([b[:, index] for b in self._filled()]).astype(np.float64)


def _sketch(blocks: Sequence[np.ndarray]) -> list[Any]:
    """A t-digest of each dimension."""
    made = [new_digest() for _ in range(blocks[0].shape[1])]
    for block in blocks:
        for i, digest in enumerate(made):
            digest.update(block[:, i].astype(np.float64))
    return made
