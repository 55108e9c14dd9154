"""Where a grid over latents has its points: axes, points on each, levels, and how far they reach.

- axes are principal axes; of few latents the covariance leans on one that has fewer numbers
- points are given to axes by what they save per bit (bit allocation by marginal returns), with the figures
  of uniform quantisers of a normal variable
- how far points reach is that of a normal variable times one factor for all axes, chosen by
  cross-validation on the latents: unseen ones spread further along the axes than those the axes were
  chosen by

Numpy alone; `vla_ts.quantizers` makes modules of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Self

import numpy as np
from jaxtyping import Float64, Int64

from vla_data.errors import ConfigError
from vla_ts.transforms import dct_matrix

TIGHTER = 2**-0.25  # what is tried next when points of the axes do not fit the levels
FOLDS = 5
FACTORS = np.arange(0.8, 2.01, 0.1)
SMALLEST = 1e-12  # variance of an axis along which nothing varies

# Of n equally spaced points with the least squared error for a normal variable (Max 1960, "Quantizing for
# minimum distortion", table II): the outermost point, and the error. Beyond 16 points finer cells pay little.
POINTS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16])
REACH = np.array([0.0, 0.798, 1.224, 1.494, 1.686, 1.832, 1.948, 2.051, 2.208, 2.324, 2.424, 2.513])
ERROR = np.array(
    [1.0, 0.3634, 0.1902, 0.1188, 0.0822, 0.0607, 0.0469, 0.0374, 0.0257, 0.0188, 0.0144, 0.0115]
)


@dataclass(frozen=True, eq=False)
class GridPlan:
    """Grids of some levels over the same axes.

    Args:
        centre: of the latents, float64 [D].
        axes: as columns, float64 [D, D], most variance first.
        counts: for each level the points on each axis, 1 for none.
        reaches: for each level the outermost point on each axis; the points lie evenly in ± that.
    """

    centre: Float64[np.ndarray, "d"]
    axes: Float64[np.ndarray, "d d"]
    counts: tuple[Int64[np.ndarray, "d"], ...]
    reaches: tuple[Float64[np.ndarray, "d"], ...]

    @classmethod
    def of(cls, latents: Float64[np.ndarray, "n d"], horizon: int, rooms: Sequence[float]) -> Self:
        """As many points for each axis as pay; those of each level number `rooms` at most.

        Args:
            latents: chunks of `horizon` steps, flat, neighbours in time beside each other.
        """

        def plan(some: np.ndarray) -> Self:
            variances, axes = principal_axes(some, horizon)
            return cls._with(some.mean(0), axes, variances, spread(variances, rooms))

        return plan(latents)._reaching(best_factor(latents, plan))

    @classmethod
    def of_signs(cls, latents: Float64[np.ndarray, "n d"], horizon: int, bits: int, levels: int) -> Self:
        """Two points on each of the `bits` axes with the most variance left, level by level.

        Raises:
            ConfigError: there are fewer axes.
        """
        if bits > latents.shape[1]:
            raise ConfigError(
                "a quantiser of signs has more bits than there are axes",
                where="codebook_size",
                expected=f"at most 2^{latents.shape[1]}",
                got=f"2^{bits}",
            )

        def plan(some: np.ndarray) -> Self:
            variances, axes = principal_axes(some, horizon)
            return cls._with(some.mean(0), axes, variances, _two_each(variances, bits, levels))

        return plan(latents)._reaching(best_factor(latents, plan))

    @classmethod
    def _with(
        cls, centre: np.ndarray, axes: np.ndarray, variances: np.ndarray, counts: Sequence[np.ndarray]
    ) -> Self:
        left, reaches = variances.copy(), []
        for own in counts:
            reaches.append(np.interp(own, POINTS, REACH) * np.sqrt(left))
            left *= np.interp(own, POINTS, ERROR)
        return cls(centre, axes, tuple(counts), tuple(reaches))

    def _reaching(self, factor: float) -> Self:
        return replace(self, reaches=tuple(factor * r for r in self.reaches))

    def left_over(self, latents: Float64[np.ndarray, "n d"], factor: float = 1.0) -> float:
        """Squared error of these latents with all levels said, summed; reaches times `factor`."""
        left = (latents - self.centre) @ self.axes
        for counts, reaches in zip(self.counts, self.reaches, strict=True):
            chosen = np.flatnonzero(counts > 1)
            reach = factor * np.maximum(reaches[chosen], SMALLEST)
            step = 2 * reach / (counts[chosen] - 1)
            place = np.rint((left[:, chosen].clip(-reach, reach) + reach) / step)
            left[:, chosen] -= place * step - reach
        return float(np.square(left).sum())


def best_factor(latents: Float64[np.ndarray, "n d"], plan: Callable[[np.ndarray], GridPlan]) -> float:
    """How much further than for a normal variable points reach at the least error of latents left out.

    Latents are left out in stretches, for neighbours are of one motion. Too few of them: 1.
    """
    stretch = np.arange(len(latents)) * FOLDS // max(1, len(latents))
    if len(latents) < 2 * FOLDS:
        return 1.0
    errors = np.zeros(len(FACTORS))
    for fold in range(FOLDS):
        made = plan(latents[stretch != fold])
        errors += [made.left_over(latents[stretch == fold], f) for f in FACTORS]
    return float(FACTORS[errors.argmin()])


def allocate(variances: Float64[np.ndarray, "axes"], size: float) -> Int64[np.ndarray, "axes"]:
    """Points for each axis, 1 for none, their product at most `size`: the most error saved per bit, greedily.

    Uses `POINTS` and `ERROR`; axes without variance get none.
    """
    step = np.zeros(len(variances), int)
    room = float(size)
    while True:
        after = np.minimum(step + 1, len(POINTS) - 1)
        growth = POINTS[after] / POINTS[step]
        saved = variances * (ERROR[step] - ERROR[after]) / np.log(np.where(growth > 1, growth, 2))
        saved = np.where((growth > 1) & (growth <= room + 1e-9), saved, 0)
        best = int(saved.argmax())
        if saved[best] <= 0:
            return POINTS[step]
        room /= growth[best]
        step[best] += 1


def spread(variances: Float64[np.ndarray, "axes"], rooms: Sequence[float]) -> list[np.ndarray]:
    """Points for the axes at each level, whose products fit its room: the most error saved per bit.

    Axes are shared out among the levels; levels for which there are no axes then take what is left over.
    Where that leaves more than each level taking what pays most by itself (few axes, much room), it is that.
    """
    shared: list[np.ndarray] = []
    alone: list[np.ndarray] = []
    while len(shared) < len(rooms):
        shared += _pack(_left(variances, shared), rooms[len(shared) :])
    for room in rooms:
        alone.append(allocate(_left(variances, alone), room))
    return min(shared, alone, key=lambda counts: _left(variances, counts).sum())


def _left(variances: np.ndarray, levels: Sequence[np.ndarray]) -> np.ndarray:
    """Variances of what levels leave over."""
    return variances * np.prod([np.interp(counts, POINTS, ERROR) for counts in levels], axis=0)


def _pack(variances: np.ndarray, rooms: Sequence[float]) -> list[np.ndarray]:
    """As much as fits, for as many of the levels as there are axes for: an axis never in two of them."""
    size = float(np.prod(rooms))
    while True:
        levels = _first_fit(allocate(variances, size), rooms)
        if levels is not None:
            used = list(takewhile(lambda counts: counts.max() > 1, levels))
            return used or [allocate(variances, rooms[0])]
        size *= TIGHTER


def _first_fit(counts: np.ndarray, rooms: Sequence[float]) -> list[np.ndarray] | None:
    """Axes in their order, each at the first level with room for its points; None where one finds none."""
    levels, left = [np.ones(len(counts), int) for _ in rooms], list(rooms)
    for axis in np.flatnonzero(counts > 1):
        place = next((i for i, room in enumerate(left) if counts[axis] <= room + 1e-9), None)
        if place is None:
            return None
        levels[place][axis] = counts[axis]
        left[place] /= counts[axis]
    return levels


def _two_each(variances: np.ndarray, bits: int, levels: int) -> list[np.ndarray]:
    found, left = [], variances.copy()
    for _ in range(levels):
        counts = np.ones(len(left), int)
        counts[np.argsort(-left, kind="stable")[:bits]] = 2
        left *= np.interp(counts, POINTS, ERROR)
        found.append(counts)
    return found


def principal_axes(latents: Float64[np.ndarray, "n d"], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances along the principal axes, largest first, and the axes as columns.

    Of few latents the covariance is not to be trusted: it leans on one of fewer numbers, in which dimensions
    know nothing of each other and the DCT along time has decorrelated each, by D / (D + N).
    """
    x = latents - latents.mean(0)
    count, size = x.shape
    dct = dct_matrix(horizon).astype(np.float64)
    variance_KA = np.square(np.einsum("kt,nta->nka", dct, x.reshape(count, horizon, -1))).mean(0)
    plain = np.einsum("kt,ka,ks,ab->tasb", dct, variance_KA, dct, np.eye(variance_KA.shape[1]))
    lean = size / (size + count)
    values, axes = np.linalg.eigh((1 - lean) * x.T @ x / count + lean * plain.reshape(size, size))
    # Signs of eigenvectors are the solver's whim: the largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(size)])
    return values[::-1].clip(SMALLEST).copy(), axes[:, ::-1].copy()
