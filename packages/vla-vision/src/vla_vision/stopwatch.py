"""Where the time of a loop goes, stage by stage and frame by frame."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Stopwatch:
    """Seconds of each stage in each frame; a stage that a frame did not have has no entry for it.

    `next_frame` begins a frame; `lap` ends a stage, which began where the one before ended.
    """

    laps: dict[str, list[float]] = field(default_factory=dict)
    frames: list[float] = field(default_factory=list)
    _began: float | None = None
    _last: float = 0.0

    def next_frame(self) -> None:
        """A frame begins, and the one before ends."""
        now = time.perf_counter()
        self.stop(now)
        self._began = self._last = now

    def lap(self, stage: str) -> None:
        """A stage ends."""
        now = time.perf_counter()
        self.laps.setdefault(stage, []).append(now - self._last)
        self._last = now

    def stop(self, now: float | None = None) -> None:
        """The last frame ends."""
        if self._began is not None:
            self.frames.append((time.perf_counter() if now is None else now) - self._began)
            self._began = None

    def drop(self) -> None:
        """The frame that has begun does not come."""
        self._began = None

    @property
    def seconds(self) -> dict[str, float]:
        """Of each stage, in all."""
        return {stage: sum(laps) for stage, laps in self.laps.items()}

    def table(self) -> dict[str, dict[str, float]]:
        """Stage → calls, milliseconds a call (mean, p50, p99) and a frame; the last row is whole frames."""
        rows = {stage: self._row(laps) for stage, laps in self.laps.items()}
        return {**rows, "frame": self._row(self.frames)} if self.frames else rows

    def _row(self, laps: list[float]) -> dict[str, float]:
        taken = 1e3 * np.array(laps)
        p50, p99 = np.quantile(taken, [0.5, 0.99])
        return {
            "calls": len(taken),
            "mean_ms": round(float(taken.mean()), 3),
            "p50_ms": round(float(p50), 3),
            "p99_ms": round(float(p99), 3),
            "ms_a_frame": round(float(taken.sum()) / max(1, len(self.frames)), 3),
        }
