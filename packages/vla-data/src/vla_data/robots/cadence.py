"""How punctual a control loop is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LATE = 0.25  # of a period
KEPT = 2**17  # ticks: 43 minutes at 50 Hz


@dataclass(frozen=True)
class CadenceReport:
    """Ticks of a fixed-rate loop.

    Args:
        ticks: begun.
        late: begun more than a quarter of a period after they were due, or left out.
        p50, p99, worst: seconds between when a tick was due and when it began, of the last `KEPT`.
        busy: share of the time in which the loop worked.
    """

    ticks: int
    late: int
    p50: float
    p99: float
    worst: float
    busy: float

    @property
    def late_share(self) -> float:
        return self.late / max(self.ticks, 1)


class Cadence:
    """Collects when ticks were due, began and ended.

    Args:
        period: seconds.
    """

    def __init__(self, period: float) -> None:
        self.period = period
        self._lateness = np.zeros(KEPT, np.float32)
        self._ticks = self._late = 0
        self._busy = 0.0
        self._began = 0.0

    def began(self, due: float, now: float, left_out: int = 0) -> None:
        """A tick begins that was due at `due`, after `left_out` that never came."""
        self._lateness[self._ticks % KEPT] = now - due
        self._ticks += 1
        self._late += left_out + (now - due > LATE * self.period)
        self._began = now

    def ended(self, now: float) -> None:
        """It ends."""
        self._busy += now - self._began

    def report(self) -> CadenceReport:
        """So far."""
        known = self._lateness[: min(self._ticks, KEPT)]
        if not len(known):
            return CadenceReport(0, 0, 0.0, 0.0, 0.0, 0.0)
        p50, p99 = np.quantile(known, (0.5, 0.99))
        busy = self._busy / (self._ticks * self.period)
        return CadenceReport(self._ticks, self._late, float(p50), float(p99), float(known.max()), busy)
