"""Statistics of a series and the one normaliser built on them.

`NormStats` travels inside every codec and checkpoint, so that a policy always reads the numbers it was
trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError

NormMode = Literal["gaussian", "quantile", "minmax"]
MIN_SPREAD = 1e-6  # a dimension narrower than this is constant: it is shifted, never blown up


@dataclass(frozen=True)
class NormStats:
    """Per-dimension statistics over `count` steps; each tuple has one number per dimension."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    count: int

    @property
    def dim(self) -> int:
        return len(self.mean)

    @classmethod
    def of(cls, series: Iterable[Float32[np.ndarray, "_time dim"]], where: str = "series") -> NormStats:
        """Exact statistics over all steps of all given arrays.

        Raises:
            DataError: there is no step, widths differ, or a value is NaN or infinite.
        """
        arrays = [np.asarray(s, np.float64) for s in series]
        arrays = [a for a in arrays if len(a)]
        if not arrays:
            raise DataError(
                "no step to take statistics of", where=where, expected="at least one step", got="0"
            )
        if len({a.shape[1:] for a in arrays}) > 1:
            shapes = sorted({str(a.shape[1:]) for a in arrays})
            raise DataError("series differ in width", where=where, expected=shapes[0], got=shapes[1])
        x = np.concatenate(arrays)
        finite = np.isfinite(x).all(axis=1)
        if not finite.all():
            step = int(np.argmin(finite))
            raise DataError(
                "a series holds NaN or Inf",
                where=f"{where}, step {step} of {len(x)}",
                expected="finite values",
                got=str(x[step]),
                next_step="find the episode with: vla data stats",
            )
        q01, q99 = np.quantile(x, [0.01, 0.99], axis=0)
        columns = (x.mean(0), x.std(0), q01, q99, x.min(0), x.max(0))
        return cls(*(tuple(float(v) for v in c) for c in columns), count=len(x))


@dataclass(frozen=True)
class Normalizer:
    """Maps a series to about unit range and back, exactly inverse to each other.

    gaussian: zero mean, unit deviation. quantile: q01…q99 to −1…1 (values outside run past it).
    minmax: min…max to −1…1.
    """

    stats: NormStats
    mode: NormMode = "gaussian"

    @property
    def _shift_scale(self) -> tuple[np.ndarray, np.ndarray]:
        s = self.stats
        if self.mode == "gaussian":
            shift, scale = np.array(s.mean), np.array(s.std)
        else:
            low, high = (s.q01, s.q99) if self.mode == "quantile" else (s.min, s.max)
            low, high = np.array(low), np.array(high)
            shift, scale = (low + high) / 2, (high - low) / 2
        return shift.astype(np.float32), np.where(scale < MIN_SPREAD, 1.0, scale).astype(np.float32)

    def normalize(self, x: Float32[np.ndarray, "*batch dim"]) -> Float32[np.ndarray, "*batch dim"]:
        """Physical units to normalised ones."""
        shift, scale = self._shift_scale
        self._check(x)
        return ((x - shift) / scale).astype(np.float32)

    def denormalize(self, x: Float32[np.ndarray, "*batch dim"]) -> Float32[np.ndarray, "*batch dim"]:
        """Normalised units to physical ones."""
        shift, scale = self._shift_scale
        self._check(x)
        return (x * scale + shift).astype(np.float32)

    def _check(self, x: np.ndarray) -> None:
        if x.shape[-1] != self.stats.dim:
            raise DataError(
                "a series of another width than its statistics",
                expected=f"last axis {self.stats.dim}",
                got=f"shape {x.shape}",
            )
