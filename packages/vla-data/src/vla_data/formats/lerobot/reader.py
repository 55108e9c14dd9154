"""Reading LeRobotDataset v3.0 without the lerobot package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.describe import FeatureRow, SplitRow
from vla_data.formats.lerobot.columns import to_numpy
from vla_data.formats.lerobot.foreign import Foreign
from vla_data.formats.lerobot.frames import EmbeddedImages, VideoFrames
from vla_data.formats.lerobot.index import EpisodeIndex, Rows
from vla_data.formats.lerobot.info import INFO, Info, size_of
from vla_data.formats.lerobot.native import Native
from vla_data.formats.lerobot.parquet import REFETCH, count_rows, import_arrow, read_rows
from vla_data.formats.locate import locate, to_path
from vla_data.formats.unknown import series_checksum
from vla_data.types import Camera, Episode, ImageSequence, RobotSpec

MARKS = ("episode_index", "task_index")


def is_dataset(path: Path) -> bool:
    """Whether a directory holds a LeRobot data set."""
    return (path / INFO).is_file()


class LeRobotReader:
    """Episodes of one split, by index; an `EpisodeReader`.

    Numbers are read by row group and column, images when looked at: encoded ones from their column, video
    frames from the nearest key frame on. Pickles as a path.

    Args:
        info: the data set.
        split: which of its splits.
    """

    def __init__(self, info: Info, split: str) -> None:
        import_arrow()
        self.info, self.split = info, split
        self.split_range = info.split(split)
        self.door: Native | Foreign = Native.read(info.root) or Foreign(info)
        self.index = EpisodeIndex(info)
        self._checked: set[tuple[int, int]] = set()
        self._require_files()

    @classmethod
    def open(cls, path: str | Path, split: str = "train") -> Self:
        """Open a split of the data set at `path`, or of the one below it.

        Raises:
            UnknownNameError: there is no such data set or split.
            DataError: a file is missing or damaged, is of another version, or the files disagree.
            MissingDependencyError: pyarrow is not installed.
        """
        return cls(Info.read(locate(to_path(path), is_dataset)), split)

    @property
    def name(self) -> str:
        return self.door.name

    @property
    def robot(self) -> RobotSpec:
        return self.door.robot

    @property
    def cameras(self) -> dict[str, Camera]:
        """Camera name → what is known of it."""
        return self.door.cameras

    @property
    def rate_assumed(self) -> bool:
        """Whether the control rate is a guess."""
        return self.door.rate_assumed

    def __len__(self) -> int:
        return len(self.split_range)

    def __getitem__(self, index: int) -> Episode:
        """An episode, images decoded when looked at.

        Raises:
            IndexError: no such episode.
            DataError: its rows are missing or damaged.
        """
        return self._episode(self._number(index), whole=True)

    def read_series(self, index: int) -> Episode:
        """An episode without images and depth, of which not a byte is read."""
        return self._episode(self._number(index), whole=False)

    def checksums(self) -> list[tuple[int, int]]:
        """(steps, CRC of the numbers) of each episode; images are not looked at."""
        return [series_checksum(self.read_series(i)) for i in range(len(self))]

    def feature_rows(self) -> list[FeatureRow]:
        """Every feature, with an example from the first episode."""
        from vla_data.formats.lerobot.describe import feature_rows

        return feature_rows(self)

    def split_rows(self) -> list[SplitRow]:
        """What the data set is divided into."""
        return [SplitRow(name, len(r), *self._sizes(r)) for name, r in self.info.splits.items()]

    def numbers(self, episode: int, columns: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns of an episode, each [T, *shape]."""
        rows = self.index.rows(episode)
        path = self._data_file(rows)
        table = read_rows(path, list(columns), rows.start, rows.stop)
        where = f"{path}, episode {episode}"
        shapes = {name: self.info.features[name] for name in columns}
        return {
            name: to_numpy(table[name], f.dtype, () if f.shape == (1,) else f.shape, f"{where}, {name!r}")
            for name, f in shapes.items()
        }

    def _episode(self, episode: int, whole: bool) -> Episode:
        columns = [*self.door.wanted(whole), *MARKS]
        numbers = self.numbers(episode, list(dict.fromkeys(columns)))
        if (numbers["episode_index"] != episode).any():
            raise self._misplaced(episode, numbers["episode_index"])
        task = numbers["task_index"]
        tasks = self.index.tasks
        return self.door.episode(
            numbers,
            self._task(tasks, task, episode),
            self.index.extra(episode) or "",
            whole=whole,
            number=episode,
            images=self._images(episode) if whole else {},
            task_index=task,
            tasks=tasks,
            subtasks=self.index.subtasks,
        )

    def _images(self, episode: int) -> dict[str, ImageSequence]:
        return {name: self.frames(name, episode) for name in self.door.pictures}

    def frames(self, camera: str, episode: int) -> ImageSequence:
        """The frames of a camera in an episode of this number."""
        key = self.door.pictures[camera]
        rows, feature = self.index.rows(episode), self.info.features[key]
        where = f"{self.info.root}, episode {episode}, {key!r}"
        if feature.dtype == "image":
            path = self._data_file(rows)
            return EmbeddedImages(path, key, range(rows.start, rows.stop), where, size_of(feature))
        chunk, file, start = self.index.video(key, episode)
        times = start + np.arange(rows.stop - rows.start) / self.info.fps
        path = self.info.video_file(key, chunk, file)
        return VideoFrames(path, times, 0.5 / self.info.fps, size_of(feature), where)

    def _data_file(self, rows: Rows) -> Path:
        path = self.info.data_file(*rows.file)
        if rows.file not in self._checked:
            found, expected = count_rows(path), self.index.file_rows(rows.file)
            if found != expected:
                raise DataError(
                    "a file holds another number of rows than the table of episodes says",
                    where=str(path),
                    expected=f"{expected} rows",
                    got=f"{found} rows",
                    next_step=REFETCH,
                )
            self._checked.add(rows.file)
        return path

    def _task(self, tasks: dict[int, str], marks: np.ndarray, episode: int) -> str:
        if not len(marks):
            return ""
        if int(marks[0]) not in tasks:
            raise DataError(
                "an episode's task is not in the table of tasks",
                where=f"{self.info.root}, episode {episode}",
                expected=f"one of {len(tasks)} tasks",
                got=f"task_index {int(marks[0])}",
                next_step=REFETCH,
            )
        return tasks[int(marks[0])]

    def _require_files(self) -> None:
        """Say at once which file of the split is missing."""
        for path in self._files(self.split_range):
            if not path.is_file():
                raise DataError(
                    "a file of a data set is missing",
                    where=str(path),
                    expected="the file that the table of episodes names",
                    got="no file",
                    next_step=REFETCH,
                )

    def _files(self, episodes: range) -> list[Path]:
        found = [self.info.data_file(*pair) for pair in self.index.shares(episodes)]
        for key in self.door.pictures.values():
            if self.info.features[key].dtype == "video":
                found += [self.info.video_file(key, *pair) for pair in self.index.shares(episodes, key)]
        return found

    def _sizes(self, episodes: range) -> tuple[int, int]:
        """Files of these episodes, and their bytes; a file shared with others counts by its steps."""
        keys = [None, *(k for k in self.door.pictures.values() if self.info.features[k].dtype == "video")]
        count = size = 0
        for key in keys:
            for pair, share in self.index.shares(episodes, key).items():
                path = self.info.video_file(key, *pair) if key else self.info.data_file(*pair)
                count, size = count + 1, size + share * path.stat().st_size
        return count, round(size)

    def _number(self, index: int) -> int:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"episode {index} of {count} in split {self.split!r} of {self.name}")
        return self.split_range[index]

    def _misplaced(self, episode: int, found: np.ndarray) -> DataError:
        return DataError(
            "the rows of an episode are another's",
            where=f"{self.info.root}, episode {episode}",
            expected=f"episode_index {episode}",
            got=", ".join(map(str, np.unique(found)[:4])),
            next_step=REFETCH,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.info, self.split)
