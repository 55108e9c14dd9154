"""A mixture: any sample of the endless stream over many data sets, by its position."""

from __future__ import annotations

import hashlib
import json
import logging
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import SupportsIndex

from vla_data.config import to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.mixture.config import DatasetShare, MixtureConfig
from vla_data.mixture.embedding import Member, embed
from vla_data.mixture.episodes import EpisodeCache, HeldEpisode, hold
from vla_data.mixture.index import EpisodeIndex, index_episodes
from vla_data.mixture.order import ROUND, Order, Place, slots_of
from vla_data.mixture.permutation import key_of
from vla_data.mixture.windows import MixtureSample, cut
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.types import Episode

log = logging.getLogger(__name__)
WORDINGS = 10  # stream of randomness, beside those of `order`
Transform = Callable[[Episode, int], Episode]


@dataclass(frozen=True)
class ShareRow:
    """A data set of a mixture in numbers: `share` of the samples, `laps` of its steps in an epoch."""

    name: str
    uri: str
    split: str
    weight: float
    share: float
    episodes: int
    steps: int
    skipped: dict[str, int]
    laps: float


class Mixture:
    """Samples of many data sets; `mixture[position]` for any position from 0 on, without end.

    What stands at a position follows from the config and the data alone. Picklable: workers open their
    own files.

    Args:
        config: what it is made of.
        sources: the episodes of each data set, in the config's order.
        indices: which of them can be used; looked up when not given.
        transform: applied to each episode when it is read, with a seed of its own for each pass; must keep
            its length. Picklable when workers are used.

    Raises:
        SpecMismatchError: robots differ and the config does not say what to do about it.
        DataError: an episode cannot be used and its data set's `skip` is off.
    """

    def __init__(
        self,
        config: MixtureConfig,
        sources: Sequence[EpisodeSource],
        indices: Sequence[EpisodeIndex] | None = None,
        transform: Transform | None = None,
    ) -> None:
        if len(sources) != len(config.dataset):
            raise ConfigError("a source for each data set", got=f"{len(sources)} of {len(config.dataset)}")
        self.config, self.sources, self.transform = config, tuple(sources), transform
        shares = config.dataset
        self.indices = tuple(
            indices or [index_episodes(s, skip=d.skip) for s, d in zip(sources, shares, strict=True)]
        )
        self.names = _names(shares, sources)
        members = [
            Member(name, s.robot, bool(getattr(s, "rate_assumed", False)))
            for name, s in zip(self.names, sources, strict=True)
        ]
        self.action_columns, self.state_columns = embed(members, config.embedding)
        slots = slots_of(_weights(config, self.indices))
        self.order = Order([i.lengths for i in self.indices], slots, config.seed, config.lanes, config.pool)
        self.cache = EpisodeCache(config.cache_bytes)
        self.damaged: set[tuple[int, int]] = set()

    @classmethod
    def open(
        cls,
        config: MixtureConfig,
        *,
        transform: Transform | None = None,
        on_progress: OnProgress = no_progress,
    ) -> Mixture:
        """Open every data set and look which of its episodes can be used.

        Raises:
            UnknownNameError, ConfigError, DataError: as `vla_data.open_episodes`, and as the constructor.
        """
        from vla_data.formats import open_episodes

        sources = [open_episodes(d.uri, d.split) for d in config.dataset]
        indices = [
            index_episodes(s, skip=d.skip, on_progress=on_progress)
            for s, d in zip(sources, config.dataset, strict=True)
        ]
        return cls(config, sources, indices, transform)

    def __len__(self) -> int:
        """Samples of an epoch."""
        return self.config.epoch_samples or sum(i.steps for i in self.indices)

    def __iter__(self) -> Iterator[MixtureSample]:
        """The samples of the first epoch."""
        return (self[p] for p in range(len(self)))

    def __getitem__(self, position: SupportsIndex) -> MixtureSample:
        """The sample at a position; positions past an epoch belong to the next ones.

        Raises:
            IndexError: the position is negative.
            DataError: the episode is damaged or has changed since it was indexed.
        """
        position = operator.index(position)
        if position < 0:
            raise IndexError(f"position {position}: samples are counted from 0")
        place = self.order.at(position)
        rank, held = self._held(place)
        if rank != place.episode:
            place = Place(position, place.dataset, place.lap, rank, place.step % len(held.action))
        seed = key_of(self.config.seed, WORDINGS, position) if self.config.window.paraphrases else 0
        episode = int(self.indices[place.dataset].episodes[rank])
        spec = self.sources[place.dataset].robot.action
        return cut(held, place, episode, spec, self.names[place.dataset], self.config.window, seed)

    def positions(
        self, epoch: int = 0, *, rank: int = 0, ranks: int = 1, worker: int = 0, workers: int = 1
    ) -> range:
        """The positions of one epoch that one worker of one rank takes: every (ranks × workers)-th.

        A rank takes the same positions however many workers it has.
        """
        if not (0 <= rank < ranks and 0 <= worker < workers and epoch >= 0):
            raise ConfigError("no such shard", got=f"rank {rank} of {ranks}, worker {worker} of {workers}")
        shard, shards = rank + ranks * worker, ranks * workers
        first, stop = epoch * len(self), (epoch + 1) * len(self)
        return range(first + (shard - first) % shards, stop, shards)

    @property
    def rows(self) -> list[ShareRow]:
        """Each data set in numbers."""
        return [
            ShareRow(
                name, d.uri, d.split, d.weight, slots / ROUND, len(i.lengths), i.steps, i.skipped,
                len(self) * slots / ROUND / i.steps,
            )
            for name, d, i, slots in zip(
                self.names, self.config.dataset, self.indices, self.order.slots, strict=True
            )
        ]  # fmt: skip

    @property
    def digest(self) -> str:
        """Identity of the stream: equal digests give the same sample at every position."""
        config = to_dict(self.config) | {"cache_bytes": 0, "epoch_samples": 0}
        config["dataset"] = [{**to_dict(d), "uri": ""} for d in self.config.dataset]  # data may move
        found = hashlib.sha256(json.dumps([config, self.names, self.order.slots]).encode())
        for index in self.indices:
            found.update(index.episodes.tobytes() + index.lengths.tobytes())
        return found.hexdigest()

    def open_bytes(self, workers: int = 1) -> int:
        """About how many bytes of episodes each of `workers` processes has in use at a time."""
        total = 0
        for d, (index, block) in enumerate(zip(self.indices, self.order.block, strict=True)):
            held = self.first(d)
            in_use = min(index.steps, block * self.order.lanes / workers) / len(held.action)
            total += round(held.nbytes * max(1.0, in_use))
        return total

    def first(self, dataset: int) -> HeldEpisode:
        """A data set's first usable episode."""
        return self._held(Place(0, dataset, 0, 0, 0))[1]

    def _held(self, place: Place) -> tuple[int, HeldEpisode]:
        """The episode of a place; where it is damaged and may be left out, the next one that is not."""
        count = len(self.indices[place.dataset].episodes)
        for rank in (n % count for n in range(place.episode, place.episode + count)):
            if (place.dataset, rank) in self.damaged:
                continue
            where = Place(place.position, place.dataset, place.lap, rank, place.step)
            key = (place.dataset, rank if self.transform is None else place.lap * count + rank)
            try:
                return rank, self.cache.get(key, partial(self._read, where))
            except DataError as error:
                if not self.config.dataset[place.dataset].skip:
                    raise
                log.warning("an episode of %s is left out: %s", self.names[place.dataset], error.message)
                self.damaged.add((place.dataset, rank))
        raise DataError("no episode of a data set can be read", where=self.names[place.dataset])

    def _read(self, place: Place) -> HeldEpisode:
        index, share = self.indices[place.dataset], self.config.dataset[place.dataset]
        episode = self.sources[place.dataset][int(index.episodes[place.episode])]
        if self.transform is not None:
            seed = key_of(self.config.seed, place.dataset, place.lap, place.episode)
            episode = self.transform(episode, seed)
        expected = int(index.lengths[place.episode])
        if len(episode) != expected:
            raise DataError(
                "an episode has another length than when the mixture was opened",
                where=f"{self.names[place.dataset]}, episode {episode.id}",
                expected=f"{expected} steps",
                got=f"{len(episode)} steps",
                next_step="open the mixture again; leave data sets alone while they are read",
            )
        return hold(episode, self.config.window.cameras, share.cameras)


def _names(shares: Sequence[DatasetShare], sources: Sequence[EpisodeSource]) -> tuple[str, ...]:
    """A name for each data set; those that would be equal are numbered."""
    names: list[str] = []
    for share, source in zip(shares, sources, strict=True):
        name = share.name or source.name
        again = sum(n.partition("#")[0] == name for n in names)
        names.append(f"{name}#{again + 1}" if again else name)
    return tuple(names)


def _weights(config: MixtureConfig, indices: Sequence[EpisodeIndex]) -> list[float]:
    sized = config.weighting == "size"
    return [
        d.weight * (i.steps ** (1 / config.temperature) if sized else 1.0)
        for d, i in zip(config.dataset, indices, strict=True)
    ]
