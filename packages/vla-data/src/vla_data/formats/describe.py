"""What a reader can say about its data beyond episodes; read by `vla_data.explore`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vla_data.protocols import EpisodeReader
from vla_data.types import Camera

SHOWN = 60  # characters of an example


@dataclass(frozen=True)
class FeatureRow:
    """A value of the data model.

    Args:
        key: where it is stored.
        kind: tensor, image, text, …
        shape: of one value, in the file's own words; "T" is the number of steps.
        dtype: numpy's name.
        encoding: how it is stored, with what was found in the file where nothing is declared.
        example: a value, shortened.
        role: what it is in this suite's vocabulary; empty when it is none of it.
    """

    key: str
    kind: str
    shape: str
    dtype: str
    encoding: str
    example: str
    role: str = ""


@dataclass(frozen=True)
class SplitRow:
    """A split: how many episodes in how many files of how many bytes."""

    name: str
    episodes: int
    shards: int
    bytes: int


@runtime_checkable
class DescribedReader(EpisodeReader, Protocol):
    """An `EpisodeReader` that can say what it reads. Every reader behind `open_episodes` is one.

    `rate_assumed` tells that nobody wrote down what the action means. `checksums` gives one value an
    episode, equal only for equal episodes, without reading them.
    """

    @property
    def cameras(self) -> Mapping[str, Camera]: ...
    @property
    def rate_assumed(self) -> bool: ...
    def feature_rows(self) -> list[FeatureRow]: ...
    def split_rows(self) -> list[SplitRow]: ...
    def checksums(self) -> list[tuple[int, int]]: ...


def shorten(value: Any) -> str:
    """An example of a value in a few characters; of an array, its first element."""
    if isinstance(value, np.ndarray):
        one = value[0] if value.ndim > 0 and len(value) else value
        value = np.array2string(np.asarray(one), precision=4, threshold=8, edgeitems=3, max_line_width=1000)
    text = " ".join(str(value).split()) if not isinstance(value, memoryview) else f"{len(value)} bytes"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
