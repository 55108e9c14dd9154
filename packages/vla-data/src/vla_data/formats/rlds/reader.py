"""Reading data sets in TFDS layout, without TensorFlow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from vla_data.formats.describe import FeatureRow, SplitRow
from vla_data.formats.example import Example
from vla_data.formats.features import Leaf, leaves, read_features
from vla_data.formats.locate import locate, to_path
from vla_data.formats.rlds.foreign import open_foreign
from vla_data.formats.rlds.layout import Layout, is_dataset, read_layout
from vla_data.formats.rlds.native import NativeDoor
from vla_data.formats.rlds.schema import FILE_NAME as VLA
from vla_data.formats.rlds.schema import Schema
from vla_data.formats.tfrecord import RecordFile
from vla_data.openx.entries import find_standard
from vla_data.types import Camera, Episode, RobotSpec

OPEN_SHARDS = 16  # each one open holds a file and a map of it


@runtime_checkable
class Door(Protocol):
    """Where foreign names become this suite's vocabulary."""

    @property
    def robot(self) -> RobotSpec: ...
    @property
    def cameras(self) -> Mapping[str, Camera]: ...
    @property
    def roles(self) -> dict[str, str]: ...
    def episode(self, example: Example, fallback_id: str, images: bool) -> Episode: ...


class RldsReader:
    """Episodes of one split, by index; an `EpisodeReader`.

    Opening looks at the names and sizes of files only; shards are opened on first use, a few at a time.
    Pickles without them, so each worker opens its own.

    Args:
        layout: the data set's files.
        split: which of its splits.
        verify: hold each record against its checksum. `read_series` never does: it would have to read the
            images for it.
    """

    def __init__(self, layout: Layout, split: str, verify: bool = True) -> None:
        layout.check(split)
        self.layout, self.split, self.verify = layout, split, verify
        self._ends = list(accumulate(layout.split(split).shard_lengths))
        self._open: dict[int, RecordFile] = {}
        self.leaves: dict[str, Leaf] = dict(leaves(read_features(layout.directory)))

    @classmethod
    def open(cls, path: str | Path, split: str = "train", verify: bool = True) -> Self:
        """Open a split of the data set at `path`, or of the one below it.

        Raises:
            UnknownNameError: there is no such data set or split.
            DataError: a file is missing, truncated or damaged, or the files do not add up.
        """
        return cls(read_layout(locate(to_path(path), is_dataset)), split, verify)

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def robot(self) -> RobotSpec:
        return self.door.robot

    @property
    def cameras(self) -> dict[str, Camera]:
        """Camera name → what is known of it."""
        return dict(self.door.cameras)

    @property
    def rate_assumed(self) -> bool:
        """Whether the control rate is a guess: nobody published it, or nothing is known of the data set."""
        return bool(getattr(getattr(self.door, "standard", None), "rate_assumed", False))

    @cached_property
    def door(self) -> Door:
        """How this data set's records become episodes; the one place where names are translated."""
        path = self.layout.directory / VLA
        if path.is_file():
            return NativeDoor(Schema.load(path))
        entry = find_standard(self.name, self.layout.directory)
        return open_foreign(entry, self.leaves, lambda: self.example(0), str(self.layout.directory))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Episode:
        """An episode, images decoded when looked at.

        Raises:
            IndexError: no such episode.
            DataError: its record is damaged.
        """
        return self.door.episode(self.example(index), self._id(index), images=True)

    def read_series(self, index: int) -> Episode:
        """An episode without images and depth, of which not a byte is read."""
        return self.door.episode(self.example(index, sparse=True), self._id(index), images=False)

    def example(self, index: int, sparse: bool = False) -> Example:
        """A record as it is stored; `sparse` maps it instead of reading and checking it."""
        shard, record = self._locate(index)
        file = self._shard(shard)
        data = file.view(record) if sparse else file.read(record, self.verify)
        return Example(data, file.where(record))

    def checksums(self) -> list[tuple[int, int]]:
        """(length, stored checksum) of each record: tells equal records apart without reading them.

        None of a data set whose shards are fetched as they are read: all of them would have to be.
        """
        if self.layout.provider is not None:
            return []
        lengths = self.layout.split(self.split).shard_lengths
        shards = [self._shard(i) for i, length in enumerate(lengths) if length]
        return [(int(f.lengths[i]), f.stored_checksum(i)) for f in shards for i in range(len(f))]

    def feature_rows(self) -> list[FeatureRow]:
        """Every value of the data model, with an example from the first episode."""
        from vla_data.formats.rlds.describe import feature_rows

        return feature_rows(self.leaves, self.example(0), self.door.roles)

    def split_rows(self) -> list[SplitRow]:
        """What the data set is divided into."""
        return [
            SplitRow(s.name, s.episodes, len(s.shard_lengths), s.num_bytes)
            for s in self.layout.splits.values()
        ]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def _id(self, index: int) -> str:
        """Of an episode whose record holds none."""
        return f"{self.split}/{index % len(self)}"

    def _locate(self, index: int) -> tuple[int, int]:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"episode {index} of {count} in split {self.split!r} of {self.name}")
        index %= count
        shard = bisect_right(self._ends, index)
        return shard, index - (self._ends[shard - 1] if shard else 0)

    def _shard(self, index: int) -> RecordFile:
        if index not in self._open:
            while len(self._open) >= OPEN_SHARDS:
                self._open.pop(next(iter(self._open)))
            self._open[index] = self.layout.open(self.split, index)
        return self._open[index]
