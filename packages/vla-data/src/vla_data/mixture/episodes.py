"""Episodes in use: encoded, cut down to what samples need, and never more of them than a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np

from vla_data.images import EncodedImages
from vla_data.types import ArrayImages, Episode, ImageSequence


@dataclass(frozen=True, eq=False)
class HeldEpisode:
    """What samples of an episode need; `images` by role, `nbytes` what holding it takes."""

    id: str
    action: np.ndarray
    state: np.ndarray
    time: np.ndarray
    wordings: tuple[str, ...]
    images: Mapping[str, ImageSequence]
    nbytes: int


def hold(episode: Episode, cameras: Sequence[str], names: Mapping[str, str]) -> HeldEpisode:
    """An episode without what no sample shows.

    Args:
        cameras: roles; those the episode lacks are left out.
        names: role → the episode's name of that camera, where it is another.
    """
    images, size = {}, 0
    for role in cameras:
        frames = episode.images.get(names.get(role, role))
        if frames is not None:
            images[role] = own = _own(frames)
            size += _size(own)
    wordings = tuple(dict.fromkeys((episode.instruction, *episode.paraphrases)))
    action, state, time = episode.action, episode.state, episode.time
    size += action.nbytes + state.nbytes + time.nbytes
    return HeldEpisode(episode.id, action, state, time, wordings, images, size)


def _own(frames: ImageSequence) -> ImageSequence:
    """Encoded frames in a buffer of their own: as slices they would keep the whole record, all cameras."""
    if not isinstance(frames, EncodedImages):
        changed: Any = frames
        inner = _inner(frames)
        return frames if inner is None else replace(changed, frames=_own(inner))
    buffer = memoryview(b"".join(frames.frames))
    stops = np.cumsum([len(f) for f in frames.frames]).tolist()
    slices = [buffer[a:b] for a, b in zip([0, *stops], stops, strict=False)]
    return EncodedImages(slices, frames.where, frames.shape)


def _size(frames: ImageSequence) -> int:
    if isinstance(frames, EncodedImages):
        return sum(len(f) for f in frames.frames)
    if isinstance(frames, ArrayImages):
        return frames.frames.nbytes
    inner = _inner(frames)
    return 0 if inner is None else _size(inner)  # others lie on disk until looked at


def _inner(frames: ImageSequence) -> Any:
    """The sequence that another one changes on the way."""
    inner = getattr(frames, "frames", None)
    return inner if is_dataclass(frames) and is_dataclass(inner) else None


class EpisodeCache:
    """The episodes used last, up to `limit` bytes; the one asked for is held whatever its size."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.nbytes = self.hits = self.misses = 0
        self._held: OrderedDict[tuple[int, int], HeldEpisode] = OrderedDict()

    def get(self, key: tuple[int, int], read: Callable[[], HeldEpisode]) -> HeldEpisode:
        """The episode under `key`, read when it is not held."""
        found = self._held.get(key)
        if found is not None:
            self.hits += 1
            self._held.move_to_end(key)
            return found
        self.misses += 1
        found = read()
        while self._held and self.nbytes + found.nbytes > self.limit:
            self.nbytes -= self._held.popitem(last=False)[1].nbytes
        self._held[key] = found
        self.nbytes += found.nbytes
        return found

    def __len__(self) -> int:
        return len(self._held)

    def __reduce__(self):  # a worker begins with an empty one
        return EpisodeCache, (self.limit,)
