"""`stats.json` and the statistics of each episode, as the lerobot package wants them.

Numbers are counted exactly, the data set's quantiles too: they are taken over the written columns, not
averaged over episodes. Colours are counted over a few frames an episode, as levels of 256, in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.formats.lerobot.columns import to_numpy
from vla_data.formats.lerobot.info import INDEX, Feature
from vla_data.formats.lerobot.parquet import read_table
from vla_data.formats.unknown import SERIES_LIMIT
from vla_data.types import ImageSequence

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
FRAMES = 8  # of each camera and episode whose colours are counted
LEVELS = 256
Stats = dict[str, list[Any]]


def counted(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """The features of numbers that statistics are kept of; a depth image is not one."""
    return {k: f for k, f in features.items() if f.is_number and (k in INDEX or f.width <= SERIES_LIMIT)}


def number_stats(values: np.ndarray) -> Stats:
    """Of numbers [T, *shape], over T; a lone number stays a list of one."""
    values = values.reshape(-1, 1) if values.ndim == 1 else values
    wide = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        found = {"min": wide.min(0), "max": wide.max(0), "mean": wide.mean(0), "std": wide.std(0)}
        found |= {name: np.quantile(wide, q, axis=0) for name, q in QUANTILES.items()}
    return {k: _finite(v).tolist() for k, v in found.items()} | {"count": [len(values)]}


def _finite(values: np.ndarray) -> np.ndarray:
    """JSON has no NaN; a column that holds one has no statistics to speak of."""
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def colour_counts(frames: ImageSequence) -> np.ndarray:
    """How often each level of each channel occurs in some frames, int64 [3, 256]."""
    counts = np.zeros((3, LEVELS), np.int64)
    for i in np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int)):
        pixels = frames[int(i)].reshape(-1, 3)
        counts += np.stack([np.bincount(pixels[:, c], minlength=LEVELS) for c in range(3)])
    return counts


def colour_stats(counts: np.ndarray, frames: int) -> Stats:
    """Of the colours counted, each [3, 1, 1] in [0, 1]."""
    levels, total = np.arange(LEVELS) / (LEVELS - 1), counts.sum(1)
    mean = counts @ levels / total
    around = np.square(levels - mean[:, None])  # E[x²] − E[x]² would lose what a plain picture has of it
    spread = np.sqrt((counts * around).sum(1) / total)
    present = counts > 0
    found = {"min": levels[present.argmax(1)], "max": levels[LEVELS - 1 - present[:, ::-1].argmax(1)]}
    found |= {"mean": mean, "std": spread}
    below = counts.cumsum(1)
    for name, q in QUANTILES.items():
        found[name] = levels[(below >= q * total[:, None]).argmax(1)]
    return {k: v.reshape(3, 1, 1).tolist() for k, v in found.items()} | {"count": [frames]}


def dataset_stats(
    files: Sequence[Path],
    features: Mapping[str, Feature],
    colours: Mapping[str, np.ndarray],
    frames: Mapping[str, int],
) -> dict[str, Stats]:
    """Of everything that was written; numbers are read back one column at a time."""
    found = {key: number_stats(_column(files, key, f)) for key, f in counted(features).items()}
    return found | {key: colour_stats(counts, frames[key]) for key, counts in colours.items()}


def _column(files: Iterable[Path], key: str, feature: Feature) -> np.ndarray:
    shape = () if feature.shape == (1,) else feature.shape
    parts = [to_numpy(read_table(p, [key])[key], feature.dtype, shape, str(p)) for p in files]
    return np.concatenate(parts)
