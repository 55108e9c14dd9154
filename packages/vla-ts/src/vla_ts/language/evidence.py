"""Does a series determine the answer to a question about it?

A question is asked only if every explanation of the noise-free series that would give another answer lies at
least `CLEAR` standard deviations of the noise away (Euclidean distance over the whole series). The
explanations are all that the generator could ever draw, and more: any level, any trend or none, any period
or none with any amplitude and phase, and any one local change at any step. Where the truth is that an effect
is absent, the others hold it at least as strongly as the weakest ever drawn.

Each explanation is a linear model, so the distances are residuals of least squares; the projections are
worked out once for each length of series.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vla_ts.language.attributes import (
    MIN_AMPLITUDE,
    MIN_RISE,
    MIN_SPIKE,
    MIN_STEP,
    PERIODS,
    STEPS,
    WaveAttributes,
)

CLEAR = 8.0  # standard deviations: the nearest one then fits better once in 30,000 times
READABLE = 0.02  # of the span: what counts as noise where there is less, so that text of two digits suffices
ABSENT_SEASON = 0.18  # a season's squared distance is at least this times steps × amplitude²
TINY = 1e-9

SEASONS = (0, *PERIODS)


class Family(NamedTuple):
    """Linear models of one length that share whether there is a trend; arrays lead with the period.

    Args:
        basis: orthonormal columns of level, trend and season, [periods, steps, columns].
        changes: columns of no change, steps and impulses beyond the basis, [periods, steps, changes].
        norms: their squared lengths, [periods, changes].
        slope: the trend's column beyond the basis (zero where it is in it), [periods, steps].
    """

    basis: np.ndarray
    changes: np.ndarray
    norms: np.ndarray
    slope: np.ndarray


@lru_cache(maxsize=64)
def family(steps: int, trend: bool) -> Family:
    """The models of series of this many steps."""
    t = np.arange(steps)
    line = t / (steps - 1) - 0.5
    columns = np.concatenate([np.zeros((steps, 1)), t[:, None] >= t[1:], np.eye(steps)], 1)
    bases, changes, slopes = [], [], []
    for period in SEASONS:
        turn = 2 * np.pi * t / period if period else np.zeros(steps)
        made = np.stack([np.ones(steps), line * trend, np.sin(turn), np.cos(turn) * bool(period)], 1)
        u, size, _ = np.linalg.svd(made, full_matrices=False)
        basis = u * (size > TINY)
        bases.append(basis)
        changes.append(columns - basis @ (basis.T @ columns))
        slopes.append(line - basis @ (basis.T @ line))
    norms = np.square(changes).sum(1)
    return Family(np.stack(bases), np.stack(changes), norms, np.stack(slopes))


class Fit(NamedTuple):
    """Least squares of every model of a family: squared residuals and fitted change heights,
    [periods, changes], and the residuals of the basis alone, [periods, steps]."""

    squares: np.ndarray
    heights: np.ndarray
    left: np.ndarray


def fit_family(models: Family, shape: np.ndarray) -> Fit:
    """All models of a family against one series."""
    left = shape - np.einsum("psk,pk->ps", models.basis, np.einsum("psk,s->pk", models.basis, shape))
    along = np.einsum("psc,ps->pc", models.changes, left)
    heights = np.where(models.norms > TINY, along / np.maximum(models.norms, TINY), 0.0)
    squares = np.square(left).sum(1)[:, None] - heights * along
    return Fit(np.maximum(squares, 0.0), heights, left)


class Evidence:
    """How far the nearest other explanation of a series is, question by question.

    Args:
        made_of: the attributes of the series.
    """

    def __init__(self, made_of: WaveAttributes) -> None:
        self.made_of = made_of
        shape = made_of.shape()
        self.sigma = max(made_of.sigma, READABLE * float(np.ptp(shape)), TINY)
        self._steps = made_of.steps
        self._models = family(self._steps, True)
        self._fit = fit_family(self._models, shape)
        self._shape = shape

    def clear(self, squared_distance: float | np.ndarray) -> bool:
        """Whether the nearest of these distances is far enough."""
        return bool(np.min(squared_distance) >= (CLEAR * self.sigma) ** 2)

    def trend(self) -> bool:
        """Whether rising, falling or flat is determined."""
        models = family(self._steps, False)
        flat = fit_family(models, self._shape)
        slope_along = np.einsum("psc,ps->pc", models.changes, models.slope)
        norms = np.maximum(models.norms, TINY)
        free = np.maximum(np.square(models.slope).sum(1)[:, None] - slope_along**2 / norms, TINY)
        along = np.einsum("ps,ps->p", models.slope, flat.left)[:, None] - slope_along * flat.heights
        rise, squares = along / free, flat.squares - along**2 / free
        if self.made_of.trend == "flat":
            return self.clear(squares + np.maximum(MIN_RISE - np.abs(rise), 0) ** 2 * free)
        wrong = rise <= 0 if self.made_of.rise > 0 else rise >= 0
        return self.clear(np.where(wrong, squares, flat.squares))

    def period(self) -> bool:
        """Whether the period, or that there is no season, is determined."""
        others = [i for i, p in enumerate(SEASONS) if p != self.made_of.period]
        squares = self._fit.squares[others]
        if self.made_of.period:
            return self.clear(squares)
        share = ABSENT_SEASON * self._steps
        fitted = np.sqrt(np.maximum(self._fit.squares[0] - squares, 0) / share)
        return self.clear(squares + share * np.maximum(MIN_AMPLITUDE - fitted, 0) ** 2)

    def amplitude(self) -> bool:
        """Whether the amplitude is told from half and from twice as much."""
        nearest = ABSENT_SEASON * self._steps * (self.made_of.amplitude / 2) ** 2
        return self.made_of.period > 0 and self.period() and self.clear(nearest)

    def change(self) -> bool:
        """Whether the kind of change, or that there is none, is determined."""
        kinds = self._kinds()
        if self.made_of.change == "none":
            least = np.where(kinds == "step", MIN_STEP, MIN_SPIKE)
            missing = np.maximum(least - np.abs(self._fit.heights), 0) ** 2 * self._models.norms
            return self.clear((self._fit.squares + missing)[:, kinds != "none"])
        same = kinds == ("step" if self.made_of.change in STEPS else "impulse")
        turned = np.sign(self._fit.heights) != np.sign(self.made_of.change_height)
        return self.clear(np.where(same & ~turned, np.inf, self._fit.squares))

    def change_at(self, first: int, end: int) -> bool:
        """Whether the change lies in steps [first, end) for sure."""
        kinds = self._kinds()
        if self.made_of.change == "none":
            return False
        at = np.concatenate([[-1], np.arange(1, self._steps), np.arange(self._steps)])
        same = kinds == ("step" if self.made_of.change in STEPS else "impulse")
        inside = same & (at >= first) & (at < end)
        return self.change() and self.clear(self._fit.squares[:, ~inside])

    def _kinds(self) -> np.ndarray:
        return np.array(["none"] + ["step"] * (self._steps - 1) + ["impulse"] * self._steps)
