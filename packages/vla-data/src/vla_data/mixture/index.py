"""Which episodes of a data set can be used and how long they are: all that ordering samples needs."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from vla_data import __version__
from vla_data.errors import DataError
from vla_data.formats.index_cache import load, stamp_of, store
from vla_data.protocols import EpisodeReader, EpisodeSource, OnProgress, Progress, no_progress
from vla_data.usable import Requirements, Skipped, require_usable, usable_episodes

REPORT_EVERY = 64  # episodes
MIN_EPISODES = 512  # below, looking is as quick as looking up


@dataclass(frozen=True, eq=False)
class EpisodeIndex:
    """The episodes that can be used.

    Args:
        episodes: their indices in the source, int64 [N].
        lengths: their steps, int64 [N].
        skipped: how many were left out, by reason.
    """

    episodes: Int64[np.ndarray, "n"]
    lengths: Int64[np.ndarray, "n"]
    skipped: dict[str, int]

    @property
    def steps(self) -> int:
        return int(self.lengths.sum())


def index_episodes(
    source: EpisodeSource, *, skip: bool = False, on_progress: OnProgress = no_progress
) -> EpisodeIndex:
    """Look at the numbers of every episode (no image is read where the format allows).

    Raises:
        DataError: an episode is damaged or lacks something and `skip` is off, or none is left.
    """
    stamp = _stamp(source)
    kept = load(*stamp) if stamp else None
    if kept is not None and len(kept) == len(source) and (kept > 1).all():
        return EpisodeIndex(np.arange(len(kept)), kept, {})
    source = copy.copy(source)  # with files of its own: those looked through here are closed at the end
    skipped: list[Skipped] = []
    found: list[tuple[int, int]] = []
    if isinstance(source, EpisodeReader):
        for i, episode in usable_episodes(source, skip_corrupt=skip, skipped=skipped):
            found.append((i, len(episode)))
            if len(found) % REPORT_EVERY == 0:
                on_progress(Progress("index", i + 1, len(source), "episodes", message=source.name))
    else:
        for i in range(len(source)):
            episode = source[i]
            require_usable(episode, Requirements(), source.name)
            found.append((i, len(episode)))
    if not found:
        raise DataError(
            "a data set of a mixture has no episode that can be used",
            where=source.name,
            expected="one episode at least",
            got=f"{len(source)} episodes, {len(skipped)} left out",
        )
    columns = np.array(found, np.int64).T.copy()
    if stamp and MIN_EPISODES <= len(found) == len(source):
        store(*stamp, columns[1])
    return EpisodeIndex(columns[0], columns[1], dict(Counter(s.kind for s in skipped)))


def _stamp(source: EpisodeSource) -> tuple[str, str] | None:
    """Key and stamp of the lengths of a data set in files: they follow from its shards and how it is read."""
    layout, split = getattr(source, "layout", None), getattr(source, "split", "")
    if layout is None:
        return None
    door = getattr(source, "door", None)
    files = [p for p in (layout.directory / "features.json", layout.directory / "vla.json") if p.is_file()]
    sizes = stamp_of(*files, *layout.shards(split))
    reading = f"{__version__} {getattr(door, 'standard', '')!r}"
    return (f"episodes {layout.directory.resolve()} {split}", f"{sizes} {reading}") if sizes else None
