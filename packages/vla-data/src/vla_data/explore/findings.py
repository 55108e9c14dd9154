"""What is odd about a data set: things that train without complaint and spoil the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.normalize import MIN_SPREAD

LOOKED_AT = 12  # episodes whose frames are looked at, spread over the split


def find_warnings(reader: DescribedReader, path: Path, split: str, splits: Sequence[str]) -> tuple[str, ...]:
    """Every warning about a split, most serious first."""
    found = [*_series_warnings(reader), *_camera_warnings(reader)]
    found += _split_warnings(reader, path, split, [s for s in splits if s != split])
    if reader.rate_assumed:
        found.append("nothing is known of what the action means or how often one is sent; names were guessed")
    return tuple(found)


def _series_warnings(reader: DescribedReader) -> Iterable[str]:
    names = {
        "action": [d.name for d in reader.robot.action.dims],
        "state": [d.name for d in reader.robot.state],
    }
    episodes = [replace(reader.read_series(i), series={}) for i in range(len(reader))]
    for what, columns in names.items():
        arrays = [getattr(e, what) for e in episodes]
        bad = [i for i, a in enumerate(arrays) if not np.isfinite(a).all()]
        if bad:
            yield f"{what} holds NaN or Inf in {len(bad)} of {len(arrays)} episodes, the first is {bad[0]}"
        finite = [a[np.isfinite(a).all(axis=1)] for a in arrays]
        values = np.concatenate(finite) if finite else np.zeros((0, 0))
        if len(values) > 1:
            spread = np.ptp(values, axis=0)
            for i in np.flatnonzero(spread < MIN_SPREAD):
                name = columns[i] if i < len(columns) else str(i)
                yield f"{what} dimension {i} ({name}) is constant: {values[0, i]:g} at every step"
    if not any(e.instruction for e in episodes):
        yield "no episode has an instruction"


def _camera_warnings(reader: DescribedReader) -> Iterable[str]:
    indices = np.unique(np.linspace(0, len(reader) - 1, min(LOOKED_AT, len(reader))).astype(int))
    seen: Counter[str] = Counter()
    dark: Counter[str] = Counter()
    for index in indices:
        episode = reader[int(index)]
        for name, frames in episode.images.items():
            for i in {0, len(frames) // 2, len(frames) - 1}:
                seen[name] += 1
                try:
                    dark[name] += not frames[i].any()
                except DataError as error:
                    yield f"camera {name}: {error.message} ({error.where})"
    for name, count in seen.items():
        if dark[name] == count:
            yield f"camera {name} is black: all {count} frames looked at are zero"
        elif dark[name]:
            yield f"camera {name} is black in {dark[name]} of {count} frames looked at"


def _split_warnings(reader: DescribedReader, path: Path, split: str, others: Sequence[str]) -> Iterable[str]:
    own = Counter(reader.checksums())
    for other in others:
        try:
            theirs = Counter(open_episodes(path, other).checksums())
        except DataError as error:
            yield f"split {other} cannot be read: {error.message}"
            continue
        shared = sum((own & theirs).values())
        if own and own == theirs:
            yield f"split {other} is the same {shared} episodes as {split}: it validates nothing"
        elif shared:
            yield f"{shared} episodes of split {other} are in {split} as well"
    repeated = sum(n - 1 for n in own.values())
    if repeated:
        yield f"{repeated} episodes of {split} are exact copies of others"
