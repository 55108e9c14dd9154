"""B-spline coefficients: a chunk as the control points of a smooth curve, each rounded to a code.

As in BEAST (Zhou et al. 2025, arXiv:2506.06072): least squares over clamped uniform knots per dimension;
grippers, which switch, get steps (degree 0) instead of a curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.types import ActionSpec
from vla_ts.base import PlainCodec
from vla_ts.checks import check_chunks
from vla_ts.transforms import spline_basis


@dataclass(frozen=True)
class SplineConfig:
    """Shape of the curves.

    Args:
        coefficients: control points per dimension, at most the horizon.
        bins: codes per control point.
        degree: of the curve.
        gripper_degree: of dimensions that open and close a gripper.
    """

    coefficients: int = 5
    bins: int = 256
    degree: int = 3
    gripper_degree: int = 0

    def __post_init__(self) -> None:
        if self.coefficients < 1 or self.bins < 2 or min(self.degree, self.gripper_degree) < 0:
            raise ConfigError("a spline needs a coefficient, two bins and a degree ≥ 0", got=str(self))


class SplineCodec(PlainCodec):
    """One code a control point: all dimensions' first, then all dimensions' second, …

    Args:
        spec: what the actions mean.
        action_horizon: actions in a chunk.
        config: shape of the curves.
        low, high: bounds of the control points per dimension, float32 [action_dim].
    """

    kind = "spline"

    def __init__(
        self,
        spec: ActionSpec,
        action_horizon: int,
        config: SplineConfig,
        low: Float32[np.ndarray, "dim"],
        high: Float32[np.ndarray, "dim"],
    ) -> None:
        super().__init__(spec, action_horizon)
        self._config, self._low, self._high = config, low, high
        self._basis = _bases(spec, action_horizon, config)
        self._fit = np.linalg.pinv(self._basis.astype(np.float64)).astype(np.float32)
        self._width = np.maximum(high - low, 0) / config.bins

    @property
    def vocab_size(self) -> int:
        return self._config.bins

    @property
    def tokens_per_chunk(self) -> int:
        return self._config.coefficients * self._spec.dim

    @classmethod
    def fit(
        cls,
        chunks: Float32[np.ndarray, "n horizon dim"],
        spec: ActionSpec,
        config: SplineConfig = SplineConfig(),
    ) -> Self:
        """Bounds of the control points that the chunks need.

        Raises:
            DataError: NaN, or another width than the spec's.
            ConfigError: more control points than actions in a chunk.
        """
        check_chunks(chunks, chunks.shape[1], spec, cls.kind)
        zero = np.zeros(spec.dim, np.float32)
        points = cls(spec, chunks.shape[1], config, zero, zero)._points(chunks)
        return cls(spec, chunks.shape[1], config, points.min(axis=(0, 1)), points.max(axis=(0, 1)))

    def _points(self, chunks: np.ndarray) -> np.ndarray:
        """Control points float32 [N, coefficients, action_dim]."""
        return np.matmul(self._fit, chunks.transpose(2, 1, 0)).transpose(2, 1, 0)

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        width = np.where(self._width > 0, self._width, 1)
        codes = np.floor((self._points(chunks) - self._low) / width).clip(0, self._config.bins - 1)
        return codes.reshape(len(chunks), self.tokens_per_chunk).astype(np.int64)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        steps = codes.reshape(len(codes), self._config.coefficients, self._spec.dim).astype(np.float32)
        points = self._low + (steps + 0.5) * self._width
        return np.matmul(self._basis, points.transpose(2, 1, 0)).transpose(2, 1, 0)

    def _settings(self) -> dict[str, Any]:
        return {"spline": to_dict(self._config), "low": self._low.tolist(), "high": self._high.tolist()}

    @classmethod
    def _build(
        cls, spec: ActionSpec, action_horizon: int, settings: Mapping[str, Any], directory: Path
    ) -> Self:
        config = from_dict(SplineConfig, settings["spline"], f"{directory}: spline")
        low, high = (np.array(settings[k], np.float32) for k in ("low", "high"))
        return cls(spec, action_horizon, config, low, high)


def _bases(spec: ActionSpec, horizon: int, config: SplineConfig) -> np.ndarray:
    """The basis of each dimension, float32 [action_dim, horizon, coefficients]."""
    if config.coefficients > horizon:
        raise ConfigError(
            "a spline with more control points than there are actions in a chunk",
            expected=f"at most {horizon} coefficients",
            got=f"{config.coefficients}",
        )
    degrees = [config.gripper_degree if d.quantity == "gripper" else config.degree for d in spec.dims]
    return np.stack([spline_basis(horizon, config.coefficients, degree) for degree in degrees])
