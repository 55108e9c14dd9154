"""Which row of a table each identity has: the same one for as long as it lives."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64


class Slots:
    """Hands out `rows` rows to the identities of a tracker.

    An identity keeps its row through gaps of up to `hold` seconds. Where rows are scarce, a new one takes
    the row of the identity that has been out of sight longest; where all are in sight, it gets none.
    """

    def __init__(self, rows: int, hold: float) -> None:
        self.rows, self.hold = rows, hold
        self.reset()

    def reset(self) -> None:
        """Every row is free."""
        self._row: dict[int, int] = {}
        self._seen: dict[int, float] = {}

    @property
    def held(self) -> frozenset[int]:
        """Identities that have a row, in sight or not."""
        return frozenset(self._row)

    def assign(
        self, time: float, ids: Int64[np.ndarray, "n"], scores: Float32[np.ndarray, "n"]
    ) -> Int64[np.ndarray, "n"]:
        """The row of each identity now in sight, -1 where none is left; new ones in order of their scores.

        Args:
            time: seconds, not before that of the last call.
        """
        present = ids.tolist()
        for gone in [i for i, seen in self._seen.items() if time - seen > self.hold and i not in present]:
            self._release(gone)
        for i in present:
            if i in self._row:
                self._seen[i] = time
        order = sorted(range(len(present)), key=lambda k: (-float(scores[k]), present[k]))
        for i in (present[k] for k in order):
            if i not in self._row:
                self._take(i, time, present)
        return np.array([self._row.get(i, -1) for i in present], np.int64)

    def _take(self, ident: int, time: float, present: list[int]) -> None:
        free = sorted(set(range(self.rows)) - set(self._row.values()))
        if not free:
            absent = [i for i in self._row if i not in present]
            if not absent:
                return
            longest = min(absent, key=lambda i: (self._seen[i], i))
            free = [self._row[longest]]
            self._release(longest)
        self._row[ident], self._seen[ident] = free[0], time

    def _release(self, ident: int) -> None:
        del self._row[ident], self._seen[ident]
