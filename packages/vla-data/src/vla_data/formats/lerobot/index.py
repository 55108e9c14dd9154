"""Which rows of which file, and which seconds of which video, belong to which episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_data.errors import DataError
from vla_data.files import inside
from vla_data.formats.lerobot.info import EPISODES, INFO, SUBTASKS, TASKS, Info
from vla_data.formats.lerobot.parquet import REFETCH, read_table, reading

if TYPE_CHECKING:
    import pyarrow as pa

EXTRA = "vla/episode"  # JSON of what this suite knows of an episode beyond the format
_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index", "dataset_from_index")


@dataclass(frozen=True)
class Rows:
    """Where an episode's numbers lie: a file (chunk, index) and its rows [start, stop)."""

    file: tuple[int, int]
    start: int
    stop: int


class EpisodeIndex:
    """The table of episodes, and the texts of tasks.

    Raises:
        DataError: a table is missing or damaged, or disagrees with info.json.
    """

    def __init__(self, info: Info) -> None:
        self.info = info
        table = _episode_table(info)
        self._columns = {n: table[n] for n in table.column_names if not n.startswith("stats/")}
        self._arrays: dict[str, np.ndarray] = {}
        numbers = [self._numbers(name) for name in _NEEDED]
        episode, self.lengths, self._chunk, self._file, self.first = numbers
        if not np.array_equal(episode, np.arange(info.episodes)):
            raise _disagree(info, f"{info.episodes} episodes, numbered from 0", f"{len(episode)} of them")
        stops = self.first + self.lengths
        wrong = (self.lengths < 0).any() or (self.first[1:] < stops[:-1]).any()
        if wrong:
            raise _disagree(info, "episodes that follow one another", "rows that two episodes claim")

    def rows(self, episode: int) -> Rows:
        """Where the numbers of an episode lie."""
        file = (int(self._chunk[episode]), int(self._file[episode]))
        start = int(self.first[episode] - self._file_starts[file])
        return Rows(file, start, start + int(self.lengths[episode]))

    def file_rows(self, file: tuple[int, int]) -> int:
        """How many rows a file has, by what its episodes say."""
        return int(self.lengths[(self._chunk == file[0]) & (self._file == file[1])].sum())

    def video(self, key: str, episode: int) -> tuple[int, int, float]:
        """(chunk, file, first second) of an episode in the videos of a camera."""
        names = [f"videos/{key}/{part}" for part in ("chunk_index", "file_index", "from_timestamp")]
        chunk, file, start = (self._numbers(n)[episode] for n in names)
        return int(chunk), int(file), float(start)

    def shares(self, episodes: range, key: str | None = None) -> dict[tuple[int, int], float]:
        """(chunk, file) of numbers, or of a camera's videos → how much of its steps is of these episodes."""
        prefix = f"videos/{key}" if key else "data"
        chunk, file = (self._numbers(f"{prefix}/{part}_index") for part in ("chunk", "file"))
        found: dict[tuple[int, int], float] = {}
        for c, f in np.unique(np.stack([chunk, file], axis=1)[episodes.start : episodes.stop], axis=0):
            inside_file = (chunk == c) & (file == f)
            own = inside_file[episodes.start : episodes.stop] * self.lengths[episodes.start : episodes.stop]
            found[int(c), int(f)] = float(own.sum() / max(1, self.lengths[inside_file].sum()))
        return found

    def extra(self, episode: int) -> str | None:
        """This suite's own words about an episode."""
        return self._columns[EXTRA][episode].as_py() if EXTRA in self._columns else None

    @cached_property
    def tasks(self) -> dict[int, str]:
        """Number of a task → what it asks for."""
        return _texts(self.info, TASKS, "task_index")

    @cached_property
    def subtasks(self) -> dict[int, str]:
        """Number of a sub-task → what it is; empty where there is no such file."""
        there = (self.info.root / SUBTASKS).is_file()
        return _texts(self.info, SUBTASKS, "subtask_index") if there else {}

    @cached_property
    def _file_starts(self) -> dict[tuple[int, int], int]:
        """The first row of each file, counted through the data set."""
        starts: dict[tuple[int, int], int] = {}
        for chunk, file, first in zip(self._chunk, self._file, self.first, strict=True):
            starts.setdefault((int(chunk), int(file)), int(first))
        return starts

    def _numbers(self, name: str) -> np.ndarray:
        if name in self._arrays:
            return self._arrays[name]
        if name not in self._columns:
            raise _disagree(self.info, f"column {name!r}", ", ".join(self._columns)[:300])
        try:
            values = self._columns[name].to_numpy()
            self._arrays[name] = values.astype(np.float64 if name.endswith("timestamp") else np.int64)
            return self._arrays[name]
        except (ValueError, TypeError) as error:
            raise _disagree(self.info, f"numbers in column {name!r}", str(error)) from error


def _episode_table(info: Info) -> pa.Table:
    import pyarrow as pa

    directory = info.root / EPISODES
    paths = sorted(directory.glob("*/*.parquet"))
    if not paths:
        raise DataError(
            "a LeRobot data set lacks its table of episodes",
            where=str(directory),
            expected="chunk-000/file-000.parquet",
            got="no file",
            next_step=REFETCH,
        )
    for path in paths:
        inside(info.root, path.relative_to(info.root).as_posix(), info.root / INFO)
    with reading(directory):
        tables = [_without_statistics(path) for path in paths]
        table = pa.concat_tables(tables, promote_options="default")
        return table.sort_by("episode_index") if not _sorted(table) else table


def _without_statistics(path: Any) -> pa.Table:
    import pyarrow.parquet as pq

    names = [n for n in pq.read_schema(path).names if not n.startswith("stats/")]
    return read_table(path, names)


def _sorted(table: pa.Table) -> bool:
    return all(a <= b for a, b in pairwise(table["episode_index"].to_pylist()))


def _texts(info: Info, name: str, number: str) -> dict[int, str]:
    """Two columns, numbers and texts; the texts' name depends on who wrote the table."""
    table = read_table(inside(info.root, name, info.root / INFO))
    texts = [n for n in table.column_names if n != number]
    if number not in table.column_names or not texts:
        raise _disagree(info, f"{name} with {number} and a text", ", ".join(table.column_names))
    return {
        int(i): str(t) for i, t in zip(table[number].to_pylist(), table[texts[0]].to_pylist(), strict=True)
    }


def _disagree(info: Info, expected: str, got: str) -> DataError:
    return DataError(
        "the tables of a LeRobot data set do not fit its info.json",
        where=str(info.root / INFO),
        expected=expected,
        got=got,
        next_step=REFETCH,
    )
