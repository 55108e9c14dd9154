"""Uniform bins: each number of an action on its own, as in RT-1 (Brohan et al. 2022, arXiv:2212.06817)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.normalize import NormStats
from vla_data.types import ActionSpec
from vla_ts.checks import check_chunks, check_codes
from vla_ts.storage import read_config, writing_codec

KIND = "uniform_bins"


class UniformBinsCodec:
    """`bins` equal bins per dimension between bounds; one code a number, time first, then dimension.

    Args:
        spec: what the actions mean.
        action_horizon: actions in a chunk.
        stats: of the actions; bins span their min … max, inside the spec's limits. Without them, the limits.
        bins: codes per number.

    Values outside the bounds take the outermost bin; a code decodes to the middle of its bin.
    """

    def __init__(
        self, spec: ActionSpec, action_horizon: int, stats: NormStats | None = None, bins: int = 256
    ) -> None:
        self._spec, self._horizon, self._bins, self._stats = spec, action_horizon, bins, stats
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
    def spec(self) -> ActionSpec:
        return self._spec

    @property
    def action_horizon(self) -> int:
        return self._horizon

    @property
    def vocab_size(self) -> int:
        return self._bins

    @property
    def tokens_per_chunk(self) -> int:
        return self._horizon * self._spec.dim

    def require_spec(self, spec: ActionSpec, where: str) -> None:
        """Raise SpecMismatchError unless `spec` means what this codec's actions mean."""
        self._spec.require_same(spec, where)

    def encode(self, chunks: Float32[np.ndarray, "n horizon dim"]) -> Int64[np.ndarray, "n tokens"]:
        """Chunks to codes in [0, bins). Raises DataError on another shape, NaN or infinity."""
        check_chunks(chunks, self._horizon, self._spec, KIND)
        width = np.where(self._width > 0, self._width, 1)
        codes = np.floor((chunks - self._low) / width).clip(0, self._bins - 1)
        return codes.reshape(len(chunks), self.tokens_per_chunk).astype(np.int64)

    def decode(self, codes: Int64[np.ndarray, "n tokens"]) -> Float32[np.ndarray, "n horizon dim"]:
        """Codes to chunks within the spec's limits. Raises DataError on codes out of range."""
        check_codes(codes, range(self.tokens_per_chunk, self.tokens_per_chunk + 1), self._bins, KIND)
        steps = codes.reshape(len(codes), self._horizon, self._spec.dim).astype(np.float32)
        values = self._low + (steps + 0.5) * self._width
        return values.clip(self._spec.low, self._spec.high).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Write a directory that `load` reads, whole or not at all."""
        config = {
            "spec": to_dict(self._spec),
            "action_horizon": self._horizon,
            "bins": self._bins,
            "stats": to_dict(self._stats) if self._stats else None,
        }
        with writing_codec(directory, KIND, config):
            pass

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises CheckpointError when a file is missing or does not match the manifest."""
        config = read_config(directory, KIND)
        stats = from_dict(NormStats, config["stats"]) if config["stats"] else None
        spec = from_dict(ActionSpec, config["spec"])
        return cls(spec, int(config["action_horizon"]), stats, int(config["bins"]))
