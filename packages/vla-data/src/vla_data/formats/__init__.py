"""Files that hold episodes: every format behind one door, `open_episodes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vla_data.formats.describe import DescribedReader

__all__ = ["FORMATS", "Format", "find_format", "open_episodes"]


@dataclass(frozen=True)
class Format:
    """A format: `marker` is the file that tells it, `open` a factory that imports what it needs."""

    marker: str
    open: Callable[[Path, str], DescribedReader]


def _open_rlds(path: Path, split: str) -> DescribedReader:
    from vla_data.formats.rlds.reader import RldsReader

    return RldsReader.open(path, split)


FORMATS: dict[str, Format] = {"rlds": Format("features.json", _open_rlds)}


def find_format(path: Path) -> str | None:
    """The format of the data set in a directory; None when it holds none."""
    return next((name for name, f in FORMATS.items() if (path / f.marker).is_file()), None)


def open_episodes(uri: str | Path, split: str = "train") -> DescribedReader:
    """Open the episodes of a split.

    Args:
        uri: a path or file:// address of a data set, or of a directory that holds one.
        split: train, val, …

    Raises:
        UnknownNameError: there is no such data set or split; the message names the nearest.
        ConfigError: several data sets are there.
        DataError: no data set is there, or its files are missing, truncated or damaged.
    """
    from vla_data.formats.locate import locate, to_path

    path = locate(to_path(uri), lambda p: find_format(p) is not None)
    name = find_format(path)
    assert name is not None
    return FORMATS[name].open(path, split)
