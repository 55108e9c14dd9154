"""Bins: each number of an action on its own.

- `UniformBinsCodec`: equal bins between the extremes, as in RT-1 (Brohan et al. 2022, arXiv:2212.06817:
  "each dimension … is discretized into 256 bins … uniformly distributed within the bounds")
- `QuantileBinsCodec`: equal bins between the 1st and the 99th percentile, as in OpenVLA (Kim et al. 2024,
  arXiv:2406.09246, section 3.2), which rare large values do not widen; or bins of equal counts
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float32

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.normalize import NormStats
from vla_data.types import ActionSpec
from vla_ts.base import PlainCodec
from vla_ts.checks import check_chunks

Bounds = Literal["data", "limits"]
Spacing = Literal["even", "counts"]


@dataclass(frozen=True)
class UniformBinsConfig:
    """`bins` codes per number, between the extremes of the data or the limits of the spec."""

    bins: int = 256
    bounds: Bounds = "data"


@dataclass(frozen=True)
class QuantileBinsConfig:
    """`bins` codes per number over q01 … q99: of equal width (`even`), or equally often used (`counts`)."""

    bins: int = 256
    spacing: Spacing = "even"


class UniformBinsCodec(PlainCodec):
    """`bins` equal bins per dimension between bounds; one code a number, time first, then dimension.

    Args:
        spec: what the actions mean.
        action_horizon: actions in a chunk.
        stats: of the actions; bins span their min … max, inside the spec's limits. Without them, the limits.
        bins: codes per number.

    Values outside the bounds take the outermost bin; a code decodes to the middle of its bin.
    """

    kind = "uniform_bins"

    def __init__(
        self, spec: ActionSpec, action_horizon: int, stats: NormStats | None = None, bins: int = 256
    ) -> None:
        super().__init__(spec, action_horizon)
        self._bins, self._stats = bins, stats
        low, high = spec.low, spec.high
        if stats is not None:
            low = np.maximum(low, np.array(stats.min, np.float32))
            high = np.minimum(high, np.array(stats.max, np.float32))
        if bins < 2 or action_horizon < 1 or not (np.isfinite(low) & np.isfinite(high)).all():
            raise ConfigError(
                "uniform bins need finite bounds, two bins and one action at least",
                expected="finite limits in the spec, or statistics",
                got=f"{bins} bins, horizon {action_horizon}, {low.tolist()} … {high.tolist()}",
            )
        self._low = low
        self._width = np.maximum(high - low, 0) / bins

    @property
    def vocab_size(self) -> int:
        return self._bins

    @property
    def tokens_per_chunk(self) -> int:
        return self._horizon * self._spec.dim

    @classmethod
    def fit(
        cls,
        chunks: Float32[np.ndarray, "n horizon dim"],
        spec: ActionSpec,
        config: UniformBinsConfig = UniformBinsConfig(),
    ) -> Self:
        """Bins over what the chunks hold. Raises DataError on NaN or another width than the spec's."""
        check_chunks(chunks, chunks.shape[1], spec, cls.kind)
        rows = chunks.reshape(-1, spec.dim)
        stats = NormStats.of([rows], cls.kind) if config.bounds == "data" else None
        return cls(spec, chunks.shape[1], stats, config.bins)

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        width = np.where(self._width > 0, self._width, 1)
        codes = np.floor((chunks - self._low) / width).clip(0, self._bins - 1)
        return codes.reshape(len(chunks), self.tokens_per_chunk).astype(np.int64)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        steps = codes.reshape(len(codes), self._horizon, self._spec.dim).astype(np.float32)
        return self._low + (steps + 0.5) * self._width

    def _settings(self) -> dict[str, Any]:
        return {"bins": self._bins, "stats": to_dict(self._stats) if self._stats else None}

    @classmethod
    def _build(
        cls, spec: ActionSpec, action_horizon: int, settings: Mapping[str, Any], directory: Path
    ) -> Self:
        stats = from_dict(NormStats, settings["stats"]) if settings["stats"] else None
        return cls(spec, action_horizon, stats, int(settings["bins"]))


class QuantileBinsCodec(PlainCodec):
    """Bins by the spread of the data; one code a number, time first, then dimension.

    Args:
        spec: what the actions mean.
        action_horizon: actions in a chunk.
        edges: between neighbouring bins, float32 [action_dim, bins - 1], ascending.
        values: what each bin decodes to, float32 [action_dim, bins].
    """

    kind = "quantile_bins"

    def __init__(
        self,
        spec: ActionSpec,
        action_horizon: int,
        edges: Float32[np.ndarray, "dim inner"],
        values: Float32[np.ndarray, "dim bins"],
    ) -> None:
        super().__init__(spec, action_horizon)
        sound = edges.shape == (spec.dim, values.shape[1] - 1) and len(values) == spec.dim
        if not sound or action_horizon < 1 or not (np.diff(edges, axis=1) >= 0).all():
            raise ConfigError(
                "bins need ascending edges and one more value than edges, for every dimension",
                expected=f"edges [{spec.dim}, bins - 1] and values [{spec.dim}, bins]",
                got=f"{list(edges.shape)} and {list(values.shape)}, horizon {action_horizon}",
            )
        self._edges, self._values = edges, values

    @property
    def vocab_size(self) -> int:
        return self._values.shape[1]

    @property
    def tokens_per_chunk(self) -> int:
        return self._horizon * self._spec.dim

    @classmethod
    def fit(
        cls,
        chunks: Float32[np.ndarray, "n horizon dim"],
        spec: ActionSpec,
        config: QuantileBinsConfig = QuantileBinsConfig(),
    ) -> Self:
        """Bins over what the chunks hold. Raises DataError on NaN or another width than the spec's."""
        check_chunks(chunks, chunks.shape[1], spec, cls.kind)
        if config.bins < 2 or not len(chunks):
            raise ConfigError("bins need data and two codes at least", got=f"{config.bins}, {len(chunks)}")
        rows = chunks.reshape(-1, spec.dim).astype(np.float64)
        if config.spacing == "counts":
            edges = np.quantile(rows, np.arange(1, config.bins) / config.bins, axis=0).T
            values = np.stack([_means(rows[:, d], edges[d]) for d in range(spec.dim)])
        else:
            low, high = np.quantile(rows, [0.01, 0.99], axis=0)[:, :, None]
            edges = low + (high - low) * np.arange(1, config.bins) / config.bins
            values = low + (high - low) * (np.arange(config.bins) + 0.5) / config.bins
        return cls(spec, chunks.shape[1], edges.astype(np.float32), values.astype(np.float32))

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        codes = np.empty(chunks.shape, np.int64)
        for d, edges in enumerate(self._edges):
            codes[..., d] = np.searchsorted(edges, chunks[..., d], side="right")
        return codes.reshape(len(chunks), self.tokens_per_chunk)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        steps = codes.reshape(len(codes), self._horizon, self._spec.dim)
        return self._values[np.arange(self._spec.dim), steps]

    def _settings(self) -> dict[str, Any]:
        return {"edges": self._edges.tolist(), "values": self._values.tolist()}

    @classmethod
    def _build(
        cls, spec: ActionSpec, action_horizon: int, settings: Mapping[str, Any], directory: Path
    ) -> Self:
        edges, values = (np.array(settings[k], np.float32) for k in ("edges", "values"))
        return cls(spec, action_horizon, edges, values)


def _means(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The mean of the numbers in each bin; for a bin without any (its edges coincide), its edge."""
    bins = len(edges) + 1
    place = np.searchsorted(edges, column, side="right")
    count, total = np.bincount(place, minlength=bins), np.bincount(place, column, minlength=bins)
    edge = np.concatenate([edges[:1], edges])
    return np.where(count > 0, total / np.maximum(count, 1), edge)
