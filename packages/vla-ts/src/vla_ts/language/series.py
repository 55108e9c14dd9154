"""Series as a language model takes them: named, scaled, cut into patches with a mask channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vla_data.errors import DataError
from vla_ts.language.scaling import SeriesScale

OPEN, CLOSE = "<ts>", "<ts/>"
PLACEHOLDER = OPEN + CLOSE
CHANNELS = 2  # of a step in a patch: its value, and whether there is one


@dataclass(frozen=True, eq=False)
class NamedSeries:
    """Numbers over time, several dimensions beside each other.

    Args:
        values: float32 [steps, dims], in their own units.
        names: of the dimensions, as a text may call them.
        present: which values there are, [steps, dims]; None says all. What an absent one holds is ignored.

    Raises:
        DataError: a value that is present is NaN or infinite, a dimension has none, or names, mask and
            values do not fit each other.
    """

    values: Float32[np.ndarray, "steps dims"]
    names: tuple[str, ...]
    present: Bool[np.ndarray, "steps dims"] | None = None

    def __post_init__(self) -> None:
        shape = self.values.shape
        fits = len(shape) == 2 and len(self.names) == shape[1] and len(set(self.names)) == len(self.names)
        if not fits or not all(shape) or (self.present is not None and self.present.shape != shape):
            raise DataError(
                "values, mask and names of a series do not fit each other",
                expected="values [steps, dims], a mask of the same shape or none, dims different names",
                got=f"{list(shape)}, {None if self.present is None else list(self.present.shape)}, "
                f"{self.names}",
            )
        for dim, name in enumerate(self.names):
            self._require_values(dim, name)

    def _require_values(self, dim: int, name: str) -> None:
        present = self.mask[:, dim]
        bad = np.flatnonzero(present & ~np.isfinite(self.values[:, dim]))
        if len(bad) or not present.any():
            raise DataError(
                "a series holds NaN or infinity" if len(bad) else "a series holds no value",
                where=f"{name}, step {bad[0]} of {len(present)}" if len(bad) else name,
                expected="finite numbers where the mask says that there is a value",
                got=str(self.values[bad[0], dim]) if len(bad) else "a mask that is false throughout",
                next_step="say in `present` which values are missing" if len(bad) else None,
            )

    @property
    def mask(self) -> Bool[np.ndarray, "steps dims"]:
        """Which values there are."""
        return np.ones(self.values.shape, bool) if self.present is None else self.present


class SeriesPatches(NamedTuple):
    """A series cut up, dimension after dimension: one run of patches each.

    Args:
        patches: a patch's normalised values, then 1 for each step that has one and 0 for the rest.
        start: the step of its series at which a patch begins.
        runs: patches of each dimension.
        scales: of each dimension.
    """

    patches: Float32[np.ndarray, "patches features"]
    start: Int64[np.ndarray, "patches"]
    runs: tuple[int, ...]
    scales: tuple[SeriesScale, ...]


def cut_series(series: NamedSeries, patch_len: int) -> SeriesPatches:
    """Scale each dimension by itself and cut it into patches; missing values and what lies behind are 0.

    Raises:
        DataError: the series is shorter than one patch.
    """
    steps, dims = series.values.shape
    if steps < patch_len:
        raise DataError(
            "a series is shorter than one patch",
            where=", ".join(series.names),
            expected=f"at least {patch_len} steps",
            got=str(steps),
            next_step="take a smaller patch_len or a longer series",
        )
    count, mask = -(-steps // patch_len), series.mask
    cells = np.zeros((dims, CHANNELS, count * patch_len), np.float32)
    scales = []
    for dim in range(dims):
        present = mask[:, dim]
        values = series.values[present, dim]
        scales.append(SeriesScale.of(values))
        cells[dim, 0, :steps][present] = scales[-1].normalize(values)
        cells[dim, 1, :steps] = present
    patches = cells.reshape(dims, CHANNELS, count, patch_len).swapaxes(1, 2)
    start = np.tile(np.arange(count, dtype=np.int64) * patch_len, dims)
    return SeriesPatches(patches.reshape(dims * count, -1), start, (count,) * dims, tuple(scales))


def join_series(cut: SeriesPatches, steps: int) -> Float32[np.ndarray, "steps dims"]:
    """The values that patches hold, in their own units; 0 where there is none.

    A patch holds float32: a value comes back to within 2^-22 of |offset| + scale of its dimension.
    """
    patch_len = cut.patches.shape[1] // CHANNELS
    out = np.zeros((steps, len(cut.runs)), np.float32)
    ends = np.cumsum(cut.runs)
    for dim, (end, run) in enumerate(zip(ends, cut.runs, strict=True)):
        cells = cut.patches[end - run : end].reshape(run, CHANNELS, patch_len).swapaxes(0, 1)
        values, present = cells.reshape(CHANNELS, -1)[:, :steps]
        here = present > 0
        out[here, dim] = cut.scales[dim].denormalize(values[here].astype(np.float64))
    return out


def describe_series(series: NamedSeries, scales: tuple[SeriesScale, ...]) -> str:
    """The series as a prompt names it: for each dimension length, offset and scale, and a placeholder."""
    steps = len(series.values)
    return " ; ".join(
        f"{name} : steps={steps} {scale.text} {PLACEHOLDER}"
        for name, scale in zip(series.names, scales, strict=True)
    )
