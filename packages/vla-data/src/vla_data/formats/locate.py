"""From what a user typed to the directory of one data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vla_data.errors import ConfigError, DataError, UnknownNameError, nearest_names
from vla_data.openx.local import SCHEME, find_local, local_datasets, require_local

DEPTH = 3  # root/<name>/<version>


def to_path(uri: str | Path) -> Path:
    """A local path from a path, a file:// address, or the name of a data set of this machine.

    `openx:NAME` is always a name; a bare NAME (or NAME/VERSION) is one when nothing lies at that path.

    Raises:
        UnknownNameError: another scheme, or no data set of that name.
    """
    text = str(uri)
    if text.startswith(SCHEME):
        return Path(require_local(text.removeprefix(SCHEME)).path)
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "file":
        raise UnknownNameError("kind of address", f"{scheme}://", ["file://", SCHEME], where=text)
    path = Path(rest if separator else text).expanduser()
    if separator or path.is_absolute() or path.exists() or len(path.parts) not in (1, 2):
        return path
    named = find_local(text)
    return path if named is None else Path(named.path)


def locate(path: Path, is_dataset: Callable[[Path], bool]) -> Path:
    """`path` itself if it is a data set, or the one data set below it.

    Raises:
        UnknownNameError: the path does not exist.
        ConfigError: the path holds several data sets.
        DataError: the path holds none.
    """
    if is_dataset(path):
        return path
    if not path.exists():
        parent = path.parent
        siblings = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
        known = [s for s in siblings if not s.startswith(".")]
        if len(path.parts) == 1:  # it may be meant as a name
            known += [d.name for d in local_datasets()]
        raise UnknownNameError("data set", path.name, known, where=str(path))
    found = find_datasets(path, is_dataset)
    if len(found) == 1:
        return found[0]
    if found:
        names = [str(p.relative_to(path)) for p in found]
        raise ConfigError(
            "several data sets are here and one is asked for",
            where=str(path),
            got=f"{len(found)} data sets",
            next_step="name one of: " + ", ".join(names[:8]) + (", …" if len(names) > 8 else ""),
        )
    raise _nothing(path)


def find_datasets(root: Path, is_dataset: Callable[[Path], bool]) -> list[Path]:
    """Every data set at most `DEPTH` directories below `root`."""
    found, level = [], [root]
    for _ in range(DEPTH):
        inside = [p for parent in level if parent.is_dir() for p in sorted(parent.iterdir())]
        below = [p for p in inside if p.is_dir() and not p.name.startswith(".")]
        found += [p for p in below if is_dataset(p)]
        level = [p for p in below if not is_dataset(p)]
    return found


def _nothing(path: Path) -> DataError:
    shards = sorted(path.rglob("*.tfrecord*"))[:1] if path.is_dir() else []
    if shards:
        return DataError(
            "a data set lacks its features.json",
            where=str(shards[0].parent / "features.json"),
            expected="the file that says what the records hold",
            got=f"shards such as {shards[0].name}, and no features.json",
            next_step="fetch the data set again, or run the command that generated it: it is written last",
        )
    near = nearest_names(path.name, [p.name for p in path.parent.iterdir() if p.is_dir() and p != path])
    return DataError(
        "no data set is here",
        where=str(path),
        expected="a directory that holds features.json, or one of its parents",
        got="a file" if path.is_file() else "a directory without any",
        next_step=f"did you mean {near[0]!r}?"
        if near
        else "list what is on disk with: vla data list --local",
    )
