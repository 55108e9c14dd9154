"""What a writer refuses before it writes anything, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vla_data.errors import ConfigError, DataError
from vla_data.formats.lerobot.info import INFO
from vla_data.types import Camera


def check_split(split: str) -> None:
    """Raise ConfigError for a split that cannot be written."""
    if not split.isidentifier():
        raise ConfigError(
            "a split of that name cannot be written",
            where="LeRobotWriter",
            expected="letters, digits and underscores",
            got=repr(split),
        )


def check_names(directory: Path, split: str, cameras: Mapping[str, Camera]) -> None:
    """Raise ConfigError for names that cannot be written, or a directory that holds something else."""
    check_split(split)
    for key, camera in cameras.items():
        if key != camera.name or not key or "/" in key or "\\" in key or key.startswith("."):
            raise ConfigError(
                "a camera of that name cannot be written",
                where="LeRobotWriter",
                expected="its own name, without '/'",
                got=f"{key!r} for camera {camera.name!r}",
            )
    if directory.exists() and not (directory / INFO).is_file() and any(directory.iterdir()):
        raise ConfigError(
            "the directory holds something else than a LeRobot data set",
            where=str(directory),
            expected="a new or empty directory",
            got=", ".join(sorted(p.name for p in directory.iterdir())[:4]),
            next_step="choose another directory",
        )


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Say in our own words that a file could not be written."""
    try:
        yield
    except OSError as error:
        raise DataError(
            "a data set cannot be written",
            where=str(root),
            got=str(error),
            next_step="free space on the disk, or choose another directory",
        ) from error
