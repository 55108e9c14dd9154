"""What the codecs without a network share: checks before, limits after, one way to lie in a directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vla_data.config import from_dict, to_dict
from vla_data.types import ActionSpec
from vla_ts.checks import check_chunks, check_codes
from vla_ts.storage import read_config, writing_codec


class PlainCodec(ABC):
    """An `ActionCodec` made of numbers alone; a subclass says how chunks become codes and back.

    Args:
        spec: what the actions mean; decoded chunks are clipped to its limits.
        action_horizon: actions in a chunk.
    """

    kind: ClassVar[str]

    def __init__(self, spec: ActionSpec, action_horizon: int) -> None:
        self._spec, self._horizon = spec, action_horizon

    @property
    def spec(self) -> ActionSpec:
        return self._spec

    @property
    def action_horizon(self) -> int:
        return self._horizon

    @property
    @abstractmethod
    def vocab_size(self) -> int: ...

    @property
    @abstractmethod
    def tokens_per_chunk(self) -> int | None: ...

    def require_spec(self, spec: ActionSpec, where: str) -> None:
        """Raise SpecMismatchError unless `spec` means what this codec's actions mean."""
        self._spec.require_same(spec, where)

    def encode(self, chunks: Float32[np.ndarray, "n horizon dim"]) -> Int64[np.ndarray, "n tokens"]:
        """Chunks to codes in [0, vocab_size), -1 behind short ones where chunks differ in length.

        Raises:
            DataError: another shape, NaN or infinity.
        """
        check_chunks(chunks, self._horizon, self._spec, self.kind)
        return self._encode(chunks)

    def decode(self, codes: Int64[np.ndarray, "n tokens"]) -> Float32[np.ndarray, "n horizon dim"]:
        """Codes to chunks within the spec's limits. Raises DataError on codes out of range."""
        check_codes(codes, self.tokens_per_chunk, self.vocab_size, self.kind)
        return self._decode(codes).clip(self._spec.low, self._spec.high).astype(np.float32, copy=False)

    def decodable(self, codes: Int64[np.ndarray, "n tokens"]) -> Bool[np.ndarray, "n"]:
        """Which rows are codes of a chunk; `decode` gives the others a meaning too, and says which."""
        check_codes(codes, self.tokens_per_chunk, self.vocab_size, self.kind)
        return np.ones(len(codes), bool)

    @abstractmethod
    def _encode(self, chunks: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _decode(self, codes: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """All `_build` needs beside spec, horizon and files, as JSON knows it."""

    def _write(self, directory: Path) -> None:
        """Files beside the config."""
        return

    @classmethod
    @abstractmethod
    def _build(
        cls, spec: ActionSpec, action_horizon: int, settings: Mapping[str, Any], directory: Path
    ) -> Self: ...

    def save(self, directory: Path) -> None:
        """Write a directory that `load` reads, whole or not at all."""
        config = {"spec": to_dict(self._spec), "action_horizon": self._horizon, **self._settings()}
        with writing_codec(directory, self.kind, config) as part:
            self._write(part)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises CheckpointError when a file is missing or does not match the manifest."""
        config = read_config(directory, cls.kind)
        spec = from_dict(ActionSpec, config.pop("spec"), f"{directory}: spec")
        return cls._build(spec, int(config.pop("action_horizon")), config, directory)
