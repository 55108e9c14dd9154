"""Writing LeRobotDataset v3.0: what the released lerobot package loads, and nothing lost on the way back.

Images go into Parquet as PNG or JPEG bytes, which are passed on unchanged where they are encoded already, or
into H.264 video. The whole data set appears under its name when `close` succeeded, and not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from vla_data.config import to_dict
from vla_data.errors import DataError
from vla_data.files import atomic_directory, write_json
from vla_data.formats.lerobot import native
from vla_data.formats.lerobot.checks import check_names, check_split, writing
from vla_data.formats.lerobot.columns import require_column
from vla_data.formats.lerobot.index import EXTRA
from vla_data.formats.lerobot.info import (
    DATA_PATH,
    INDEX,
    INFO,
    STATS,
    SUBTASKS,
    TASKS,
    VIDEO_PATH,
    Feature,
    Info,
)
from vla_data.formats.lerobot.parquet import import_arrow
from vla_data.formats.lerobot.rolling import DataFiles, VideoFiles
from vla_data.formats.lerobot.statistics import (
    FRAMES,
    colour_counts,
    colour_stats,
    counted,
    dataset_stats,
    number_stats,
)
from vla_data.formats.lerobot.tables import EpisodeTable, Images, Texts, episode_table, info_json
from vla_data.formats.rlds.native import check_episode
from vla_data.formats.rlds.schema import Schema
from vla_data.types import Camera, Episode, RobotSpec


class LeRobotWriter:
    """Writes one data set; an `EpisodeWriter`.

    Args:
        directory: the data set's, new or empty or a LeRobot data set, which is then replaced.
        name: of the data set.
        robot: whose action and state every episode carries; its control rate is the data set's fps.
        cameras: name → camera; the frames of every episode have these names and sizes.
        split: train, val, …; `begin_split` starts another.
        images: "png" loses nothing, "keep" passes encoded frames on and makes PNG of others, "jpeg" and
            "video" are smaller.
        rate_assumed: nobody wrote down what the action means.

    Raises:
        ConfigError: a name cannot be written, or the directory holds something else.
        MissingDependencyError: pyarrow is not installed.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        robot: RobotSpec,
        cameras: Mapping[str, Camera],
        *,
        split: str = "train",
        images: Images = "png",
        rate_assumed: bool = False,
    ) -> None:
        import_arrow()
        check_names(Path(directory), split, cameras)
        self.name, self.rate_assumed = name, rate_assumed
        self.images: Images = images
        self._robot, self._cameras = robot, dict(cameras)
        self._schema: Schema | None = None
        self._splits: dict[str, list[int]] = {split: [0, 0]}
        self._frames, self._seen = 0, Counter[str]()
        self._colours: dict[str, np.ndarray] = {}
        self._tasks, self._subtasks = Texts("task_index"), Texts("subtask_index")
        self._stack = ExitStack()
        self._root = self._stack.enter_context(atomic_directory(Path(directory)))
        self._episodes = EpisodeTable(self._root)

    def begin_split(self, name: str) -> None:
        """Count the episodes that follow to another split."""
        check_split(name)
        count = len(self._episodes)
        self._splits[name] = [count, count]

    def write(self, episode: Episode) -> None:
        """Append an episode.

        Raises:
            DataError: it does not fit the data set, or its images are damaged.
        """
        with writing(self._root):
            self._write(episode)

    def close(self) -> None:
        """Write what says what the files hold, and give the data set its name.

        Raises:
            DataError: no episode was written, or the disk is full.
        """
        try:
            if self._schema is None:
                raise DataError(
                    "a data set without an episode cannot be written",
                    where=str(self._root),
                    expected="at least one episode",
                    got="none",
                )
            with writing(self._root):
                self._finish(self._schema)
        except BaseException as error:
            self._abandon(error)
            raise
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        error = exc[1]
        if isinstance(error, BaseException):
            self._abandon(error)
        else:
            self.close()

    def _write(self, episode: Episode) -> None:
        if self._schema is None:
            self._begin(episode)
        assert self._schema is not None
        check_episode(episode, self._schema)
        text, numbers = native.episode_text(episode, self._schema), self._numbers(episode)
        stats = {k: number_stats(numbers[k]) for k in counted(self._features)}
        colours = {native.PICTURE + name: colour_counts(f) for name, f in episode.images.items()}
        videos: dict[str, Any] = {}
        for key, video in self._videos.items():  # frames of an episode that fails here belong to no episode
            videos |= video.write(episode.images[key.removeprefix(native.PICTURE)])
        pictures = {} if self._videos else {native.PICTURE + n: f for n, f in episode.images.items()}
        file = self._data.write(episode_table(self._features, numbers, pictures, self.images))
        self._episodes.add(self._row(episode, file, text) | videos, stats | self._count(colours, episode))
        self._frames += len(episode)
        self._splits[next(reversed(self._splits))][1] += 1

    def _begin(self, episode: Episode) -> None:
        schema = Schema.of(episode, self._robot, self._cameras, "png")
        for group, columns in (("series", schema.series), ("depth", schema.depth)):
            for name, column in columns.items():
                require_column(column.dtype, column.shape, f"episode {episode.id}, {group} {name!r}")
        check_episode(episode, schema)
        self._columns = native.column_names(schema)
        own = native.features(schema, self._columns, self.images == "video")
        marks = {k: Feature("float32" if k == "timestamp" else "int64", (1,)) for k in INDEX}
        if episode.substeps:
            marks[native.SUBTASK] = Feature("int64", (1,))
        self._features = own | marks
        pictures = [native.PICTURE + c.name for c in schema.cameras]
        video = self.images == "video"
        self._data = DataFiles(self._root, [] if video else pictures)
        sizes = {native.PICTURE + c.name: (c.height, c.width) for c in schema.cameras if video}
        self._videos = {k: VideoFiles(self._root, k, size, self._fps) for k, size in sizes.items()}
        self._schema = schema

    @property
    def _fps(self) -> float:
        rate = self._robot.action.control_hz
        return int(rate) if rate == int(rate) else rate

    def _numbers(self, episode: Episode) -> dict[str, np.ndarray]:
        """Feature → its values in an episode."""
        steps, schema = len(episode), self._schema
        assert schema is not None
        counts = np.arange(steps)
        found: dict[str, np.ndarray] = {
            native.ACTION: episode.action,
            native.STATE: episode.state,
            native.TIME: episode.time,
        }
        for name, key in self._columns.items():
            kind, _, rest = name.partition("/")
            found[key] = np.asarray((episode.series if kind == "series" else episode.depth)[rest])
        found["timestamp"] = (counts / self._fps).astype(np.float32)
        found["frame_index"], found["index"] = counts, counts + self._frames
        found["episode_index"] = np.full(steps, len(self._episodes))
        found["task_index"] = np.full(steps, self._tasks.number(episode.instruction))
        if native.SUBTASK in self._features:
            found[native.SUBTASK] = self._subtasks.along(episode)
        return found

    def _row(self, episode: Episode, file: tuple[int, int], text: str) -> dict[str, Any]:
        return {
            "episode_index": len(self._episodes),
            "tasks": [episode.instruction],
            "length": len(episode),
            "data/chunk_index": file[0],
            "data/file_index": file[1],
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + len(episode),
            EXTRA: text,
        }

    def _count(self, colours: Mapping[str, np.ndarray], episode: Episode) -> dict[str, Any]:
        seen = min(FRAMES, len(episode))
        for key, counts in colours.items():
            self._colours[key] = self._colours.get(key, 0) + counts
            self._seen[key] += seen
        return {key: colour_stats(counts, seen) for key, counts in colours.items()}

    def _finish(self, schema: Schema) -> None:
        for files in (self._data, *self._videos.values(), self._episodes):
            files.close()
        self._tasks.write(self._root / TASKS)
        if native.SUBTASK in self._features:
            self._subtasks.write(self._root / SUBTASKS)
        stats = dataset_stats(self._data.paths, self._features, self._colours, self._seen)
        write_json(self._root / STATS, stats)
        splits = {name: range(*ends) for name, ends in self._splits.items()}
        info = Info(
            self._root, self._fps, self._robot.name, self._features, splits, len(self._episodes), DATA_PATH,
            VIDEO_PATH if self._videos else "",
        )  # fmt: skip
        write_json(self._root / INFO, info_json(info, self._frames, len(self._tasks)))
        own = native.Native(
            self.name, schema, self.rate_assumed, self._columns, native.written_files(self._root)
        )
        write_json(self._root / native.FILE_NAME, to_dict(own))

    def _abandon(self, error: BaseException) -> None:
        for files in (getattr(self, "_data", None), *getattr(self, "_videos", {}).values(), self._episodes):
            if files is not None:
                files.abandon()
        self._stack.__exit__(type(error), error, error.__traceback__)
