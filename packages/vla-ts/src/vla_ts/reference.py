"""How few bits any codec needs: the rate–distortion function of a Gaussian source.

A chunk's coefficients along time (DCT, or principal axes) are taken as independent Gaussians. At mean
squared error D the cheapest code spends, on a coefficient of variance σ², max(0, ½ log₂(σ²/θ)) bits and
leaves min(θ, σ²) of error, with one water level θ for all (Cover and Thomas, Elements of Information
Theory, section 10.3.3: reverse water-filling).

Among sources of the same covariance the Gaussian is the hardest, so real data can be coded in less; a
gripper that is open or closed, far less. That is why every figure is there per dimension too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from jaxtyping import Float32, Float64

from vla_data.errors import DataError
from vla_data.normalize import MIN_SPREAD, NormStats
from vla_ts.transforms import dct_matrix

Transform = Literal["dct", "klt", "joint"]


@dataclass(frozen=True, eq=False)
class GaussianReference:
    """The rate–distortion function of chunks [horizon, action_dim].

    Distortion is the normalised mean squared error (NMSE): squared error in units of each dimension's
    variance, mean over all numbers of a chunk. Rates are bits per chunk.

    Args:
        variances: of the normalised coefficients, float64 [action_dim, horizon]; [1, horizon × action_dim]
            when dimensions are coded together (`joint`).
        numbers: in a chunk.
    """

    variances: Float64[np.ndarray, "rows coefficients"]
    numbers: int

    @classmethod
    def of(
        cls, chunks: Float32[np.ndarray, "n horizon dim"], stats: NormStats, transform: Transform = "dct"
    ) -> Self:
        """The reference for the covariance these chunks have.

        Args:
            chunks: what codecs are measured on.
            stats: what is one unit of error; those of the data the codecs were fitted to.
            transform: `dct`: fixed along time, each dimension for itself. `klt`: the best along time, each
                dimension for itself. `joint`: the best over all numbers of a chunk together; needs many
                more chunks than numbers, for a covariance of too few looks narrower than it is.

        Raises:
            DataError: too few chunks to know their covariance.
        """
        count, horizon, dim = chunks.shape
        need = 2 if transform == "dct" else 2 * (horizon if transform == "klt" else horizon * dim)
        if count < need:
            raise DataError(
                "too few chunks to know their covariance",
                where=f"reference {transform}",
                expected=f"at least {need}",
                got=str(count),
            )
        std = np.array(stats.std)
        x = (chunks / np.where(std < MIN_SPREAD, 1.0, std)).astype(np.float64)
        if transform == "dct":
            return cls(np.einsum("kt,ntd->nkd", dct_matrix(horizon), x).var(axis=0).T, horizon * dim)
        groups = [x.reshape(count, -1)] if transform == "joint" else [x[:, :, d] for d in range(dim)]
        return cls(np.stack([_principal_variances(g) for g in groups]), horizon * dim)

    def bits(self, nmse: float) -> float:
        """Bits per chunk at this NMSE; infinite at 0, 0 at or above the variance."""
        return float(self.bits_by_row(nmse).sum())

    def bits_by_row(self, nmse: float) -> Float64[np.ndarray, "rows"]:
        """Bits per chunk of each dimension (all together when `joint`), errors spread as is cheapest."""
        level = water_level(self.variances.ravel(), nmse * self.numbers)
        return _rates(self.variances, level).sum(axis=1)

    def bits_at(self, nmse_by_dim: Float64[np.ndarray, "rows"]) -> Float64[np.ndarray, "rows"]:
        """Bits per chunk of each dimension where its own NMSE is given, as a codec spread it."""
        rows, coefficients = self.variances.shape
        levels = [water_level(self.variances[i], float(nmse_by_dim[i]) * coefficients) for i in range(rows)]
        return np.array([_rates(self.variances[i], levels[i]).sum() for i in range(rows)])

    def gap(self, bits: float, nmse: float) -> float:
        """Bits per chunk that a codec spends beyond the reference at its NMSE; below 0, it spends less."""
        return bits - self.bits(nmse)

    def curve(self, low: float, high: float, points: int = 60) -> Float64[np.ndarray, "points 2"]:
        """(NMSE, bits per chunk), evenly spaced on a logarithmic axis of NMSE."""
        nmse = np.geomspace(low, high, points)
        return np.stack([nmse, [self.bits(float(d)) for d in nmse]], axis=1)


def water_level(variances: Float64[np.ndarray, "coefficients"], error: float) -> float:
    """θ with Σ min(θ, σ²) = `error`; the largest variance when the error is not less than their sum.

    Exact: the sum is a straight line between one variance and the next.
    """
    ordered = np.sort(variances)
    below = np.concatenate([[0.0], np.cumsum(ordered)[:-1]])
    reached = below + ordered * np.arange(len(ordered), 0, -1)  # the sum when θ is this variance
    if error >= reached[-1]:
        return float(ordered[-1])
    i = int(np.searchsorted(reached, error, side="left"))
    return float((error - below[i]) / (len(ordered) - i))


def _rates(variances: np.ndarray, level: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 0.5 * np.log2(variances / level)
    return np.where(variances > level, np.maximum(rates, 0), 0.0)


def _principal_variances(x: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(np.atleast_2d(np.cov(x, rowvar=False, bias=True))).clip(0)[::-1]
