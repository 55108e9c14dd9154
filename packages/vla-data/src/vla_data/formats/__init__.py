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
    """A format: `holds` tells it by names alone, `open` is a factory that imports what it needs."""

    holds: Callable[[Path], bool]
    open: Callable[[Path, str], DescribedReader]


def _open_rlds(path: Path, split: str) -> DescribedReader:
    from vla_data.formats.rlds.reader import RldsReader

    return RldsReader.open(path, split)


def _open_lerobot(path: Path, split: str) -> DescribedReader:
    from vla_data.formats.lerobot.reader import LeRobotReader

    return LeRobotReader.open(path, split)


def _open_hdf5(path: Path, split: str) -> DescribedReader:
    from vla_data.formats.hdf5.reader import Hdf5Reader

    return Hdf5Reader.open(path, split)


HDF5_NAMES = (".hdf5", ".h5")


def _holds_hdf5(path: Path) -> bool:
    files = [path] if path.is_file() else path.iterdir() if path.is_dir() else []
    return any(f.suffix in HDF5_NAMES and not f.name.startswith(".") and f.is_file() for f in files)


FORMATS: dict[str, Format] = {
    "rlds": Format(lambda path: (path / "features.json").is_file(), _open_rlds),
    "lerobot": Format(lambda path: (path / "meta/info.json").is_file(), _open_lerobot),
    "hdf5": Format(_holds_hdf5, _open_hdf5),
}


def find_format(path: Path) -> str | None:
    """The format of the data set in a directory or file; None when it holds none."""
    return next((name for name, f in FORMATS.items() if f.holds(path)), None)


def open_episodes(uri: str | Path, split: str = "train") -> DescribedReader:
    """Open the episodes of a split.

    Args:
        uri: a path or file:// address of a data set, or of a directory that holds one.
        split: train, val, …

    Raises:
        UnknownNameError: there is no such data set or split; the message names the nearest.
        ConfigError: several data sets are there.
        DataError: no data set is there, or its files are missing, truncated or damaged.
        MissingDependencyError: the extra of its format is not installed.
    """
    from vla_data.formats.locate import locate, to_path

    path = locate(to_path(uri), lambda p: find_format(p) is not None)
    name = find_format(path)
    assert name is not None
    return FORMATS[name].open(path, split)
