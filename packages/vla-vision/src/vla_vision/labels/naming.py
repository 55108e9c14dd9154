"""What classes, splits and files are called."""

from __future__ import annotations

from urllib.parse import quote

from vla_data.errors import DataError
from vla_data.objects import object_names
from vla_data.protocols import EpisodeSource
from vla_data.usable import ANY, usable_episodes


def class_names_of(source: EpisodeSource, *, skip_corrupt: bool = False) -> tuple[str, ...]:
    """The classes of all objects in labelled episodes, sorted.

    Raises:
        DataError: an episode has no labels and `skip_corrupt` is off.
    """
    kinds: set[str] = set()
    for _, episode in usable_episodes(source, ANY, skip_corrupt=skip_corrupt):
        try:
            kinds |= {n.kind for n in object_names(episode)}
        except DataError:
            if not skip_corrupt:
                raise
    return tuple(sorted(kinds))


def split_of(index: int, episodes: int, val_every: int) -> str:
    """The split of an episode: every `val_every`-th is for validation, at least one where there are two."""
    step = min(val_every, episodes)
    return "val" if episodes > 1 and index % step == step // 2 else "train"


def file_stem(index: int, camera: str) -> str:
    """A name for files of an episode and camera; cameras may be called what no file can."""
    return f"{index:05d}-{quote(camera, safe='')}"
