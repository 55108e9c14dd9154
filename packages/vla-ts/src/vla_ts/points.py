"""One point of an exploration: a codec fitted, measured on what it never saw, set beside the reference."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError
from vla_data.files import read_json, write_json
from vla_data.protocols import ActionCodec
from vla_ts.codecs import CODECS, fit_codec
from vla_ts.figures import CodecQuality
from vla_ts.pages import decode_episode
from vla_ts.quality import measure
from vla_ts.reference import GaussianReference, Transform
from vla_ts.trajectories import Trajectories

LARGEST = ("worst", "worst_by_dim", "angle_worst", "most_tokens")  # of which folds give the most
SHOWN_STEPS = 120
LEARNT_SHARE = 10  # entropy tables learn from so many times the chunks measured on


@dataclass(frozen=True)
class Unit:
    """A point to measure: `division` is holdout, folds and seed; `data` and `result` are paths."""

    data: str
    horizon: int
    codec: str
    settings: Any
    division: tuple[float, int, int]
    reference: Transform
    most_chunks: int
    result: str

    def __str__(self) -> str:
        return f"{self.codec} on {Path(self.data).stem}, horizon {self.horizon}"


@dataclass(frozen=True)
class Point:
    """A codec on a data set.

    Args:
        data: name of the data set.
        dims: names of its dimensions.
        horizon: steps in a chunk.
        codec: kind.
        settings: those that differ from the kind's defaults, as JSON knows them.
        quality: what was measured; None where the codec could not be fitted, for `reason`.
        reference_bits: per chunk, of the Gaussian reference at the codec's NMSE.
        reference_by_dim: the same per dimension at the NMSE the codec has there.
        fit_seconds: for one fit.
        chunks: measured on, over all folds.
        real, decoded: the beginning of an episode not fitted to, [T, dims].
    """

    data: str
    dims: tuple[str, ...]
    horizon: int
    codec: str
    settings: Mapping[str, Any]
    quality: CodecQuality | None = None
    reference_bits: float = 0.0
    reference_by_dim: tuple[float, ...] = ()
    fit_seconds: float = 0.0
    chunks: int = 0
    hz: float = 1.0
    real: tuple[tuple[float, ...], ...] = ()
    decoded: tuple[tuple[float, ...], ...] = ()
    reason: str = ""

    @property
    def label(self) -> str:
        """Its settings in a few words."""
        return ", ".join(
            f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.settings.items()
        )

    @property
    def gap(self) -> float:
        """Entropy-coded bits per chunk beyond the reference's."""
        return self.quality.rate.bits - self.reference_bits if self.quality else 0.0


def measure_unit(unit: Unit) -> None:
    """Measure a point and keep it at `unit.result`."""
    data = Trajectories.load(Path(unit.data))
    write_json(Path(unit.result), to_dict(measure_point(data, unit)))


def load_point(path: Path) -> Point:
    """Raises DataError or ConfigError when the file is not one that `measure_unit` wrote."""
    return from_dict(Point, read_json(path), str(path))


def measure_point(data: Trajectories, unit: Unit) -> Point:
    """Fit and measure, on one division or on every fold."""
    default = CODECS[unit.codec].settings()
    about = {
        "data": data.name,
        "dims": tuple(d.name for d in data.spec.dims),
        "horizon": unit.horizon,
        "codec": unit.codec,
        "settings": _differences(to_dict(unit.settings), to_dict(default)),
        "hz": data.spec.control_hz,
    }
    holdout, folds, seed = unit.division
    pairs = data.folds(folds, seed) if folds > 1 else [data.split(holdout, seed)]
    pairs = [(learnt, held if held.episodes else learnt) for learnt, held in pairs]
    began = time.perf_counter()
    try:
        codecs = [fit_codec(unit.codec, learnt, unit.horizon, unit.settings) for learnt, _ in pairs]
    except ConfigError as error:
        return Point(**about, reason=error.message)
    taken = (time.perf_counter() - began) / len(pairs)
    qualities = [_quality(c, a, b, unit) for c, (a, b) in zip(codecs, pairs, strict=True)]
    quality = mean_quality(qualities)
    shown = max(pairs[0][1].episodes, key=len)[:SHOWN_STEPS]
    reference, count = _reference(data, pairs, unit)
    return Point(
        **about,
        quality=quality,
        reference_bits=reference.bits(quality.error.nmse),
        reference_by_dim=_by_dim(reference, quality),
        fit_seconds=taken,
        chunks=count,
        real=_rows(shown),
        decoded=_rows(decode_episode(codecs[0], shown)),
    )


def mean_quality(qualities: Sequence[CodecQuality]) -> CodecQuality:
    """Figures over folds: means, and the largest of what is a maximum."""
    return from_dict(CodecQuality, _pooled([to_dict(q) for q in qualities], ""))


def _pooled(values: list[Any], key: str) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return {k: _pooled([v[k] for v in values], k) for k in first}
    if isinstance(first, list):
        return [_pooled(list(column), key) for column in zip(*values, strict=True)]
    if first is None or isinstance(first, str) or any(v is None for v in values):
        return first
    if key in LARGEST or key == "vocab_size":
        return max(values)
    return float(np.mean(values))


def _quality(codec: ActionCodec, learnt: Trajectories, held: Trajectories, unit: Unit) -> CodecQuality:
    known = learnt.chunks(unit.horizon, LEARNT_SHARE * unit.most_chunks)
    return measure(unit.codec, codec, held.chunks(unit.horizon, unit.most_chunks), learnt.stats(), known)


def _reference(
    data: Trajectories, pairs: list[tuple[Trajectories, Trajectories]], unit: Unit
) -> tuple[GaussianReference, int]:
    """The reference for all that was measured on; folds together are the whole data set."""
    learnt, held = (data, data) if len(pairs) > 1 else pairs[0]
    chunks = held.chunks(unit.horizon, unit.most_chunks * len(pairs))
    return GaussianReference.of(chunks, learnt.stats(), unit.reference), len(chunks)


def _by_dim(reference: GaussianReference, quality: CodecQuality) -> tuple[float, ...]:
    if len(reference.variances) != len(quality.error.by_dim):
        return ()
    bits = reference.bits_at(np.maximum(np.array(quality.error.by_dim), 1e-12))
    return tuple(float(v) for v in bits)


def _differences(settings: Any, default: Any) -> dict[str, Any]:
    """Settings that are not the default, nested ones by dotted name."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{key}.{k}": v for k, v in _differences(value, default[key]).items()}
        elif value != default[key]:
            found[key] = value
    return found


def _rows(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(v) for v in row) for row in values)
