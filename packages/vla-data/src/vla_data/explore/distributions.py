"""How numbers are spread: a few of them in words, all of them as a histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_data.charts import Histogram

BINS = 40
FEW = 4


@dataclass(frozen=True)
class Spread:
    """Counts between consecutive edges (one more edge than counts), and the numbers they summarise."""

    name: str
    min: float
    median: float
    mean: float
    max: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def chart(self, x_label: str = "", small: bool = False) -> Histogram:
        """As a chart of a page."""
        return Histogram(self.name, self.edges, self.counts, x_label, small)


def spread(name: str, values: np.ndarray) -> Spread:
    """The spread of finite numbers; whole numbers get bins of whole width.

    Args:
        values: [n]; without any, everything is 0 and there is one empty bin.
    """
    if not len(values):
        return Spread(name, 0.0, 0.0, 0.0, 0.0, (0.0, 1.0), (0,))
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, binned(low, high, values.dtype.kind in "iu"))
    return Spread(
        name,
        low,
        float(np.median(values)),
        float(values.mean()),
        high,
        tuple(float(e) for e in edges),
        tuple(int(c) for c in counts),
    )


def binned(low: float, high: float, whole: bool = False) -> np.ndarray:
    """Edges of the bins of numbers between `low` and `high`."""
    if whole:
        if high - low < FEW:  # a lone bar tells little of where it stands
            low, high = max(low - FEW, min(low, 0)), high + FEW
        step = max(1, -(-int(high - low + 1) // BINS))
        return np.arange(low, high + step + 0.5, step) - 0.5
    if high - low < 1e-9 * max(1.0, abs(low)):
        return np.array([low - 0.5, low + 0.5])
    return np.linspace(low, high, BINS + 1)
