"""Data sets of this machine by name: those below the data directory, and those that were registered.

The register is `vla/datasets.json` in the user's data directory (`$XDG_DATA_HOME`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.files import read_json, write_json

SCHEME = "openx:"
Mode = Literal["copy", "in place", "stream"]


@dataclass(frozen=True)
class LocalDataset:
    """A data set that can be opened by its name.

    Args:
        path: its directory.
        source: address it came from; empty when it was made or put there by hand.
        mode: `stream` when its shards are fetched as they are read.
        state: `verified`, `incomplete` or `failed`; `present` when no download vouches for it.
        subset: only some of its shards were asked for.
    """

    name: str
    version: str
    path: str
    source: str = ""
    mode: Mode = "in place"
    state: Literal["verified", "incomplete", "failed", "present"] = "present"
    subset: bool = False

    @property
    def bytes(self) -> int:
        """Of the files that are here."""
        return sum(p.stat().st_size for p in Path(self.path).rglob("*") if p.is_file())


def data_directory() -> Path:
    """Where data sets lie that are called by name: $VLA_DATA, else ./data."""
    return Path(os.environ.get("VLA_DATA") or "data")


def register_path() -> Path:
    """The file that lists what was registered."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "vla" / "datasets.json"


def register(dataset: LocalDataset) -> None:
    """Let a data set be found by its name; replaces an earlier entry of the same name and version."""
    from vla_data.openx.lock import locked

    path = register_path()
    with locked(path.with_name(f".{path.name}.lock")):
        kept = [d for d in _registered() if (d.name, d.version) != (dataset.name, dataset.version)]
        write_json(path, {"format": 1, "datasets": [to_dict(d) for d in (*kept, dataset)]})


def local_datasets() -> list[LocalDataset]:
    """Every data set that can be opened by name and is still there, sorted by name and version."""
    found = {Path(d.path).resolve(): d for d in _registered() if _is_dataset(Path(d.path))}
    for path in _below(data_directory()):
        found.setdefault(path.resolve(), _describe(path))
    return sorted(found.values(), key=lambda d: (d.name, d.version, d.path))


def find_local(name: str) -> LocalDataset | None:
    """The data set called NAME or NAME/VERSION, the one registered last first; None when there is none.

    Names of the catalogue may lack their common suffix.
    """
    from vla_data.openx.catalog import full_name

    return _find(name) or _find(full_name(name))


def _find(name: str) -> LocalDataset | None:
    name, _, version = name.partition("/")
    for dataset in reversed(_registered()):
        if dataset.name == name and version in ("", dataset.version) and _is_dataset(Path(dataset.path)):
            return dataset
    matches = [d for d in local_datasets() if d.name == name and version in ("", d.version)]
    return matches[-1] if matches else None


def require_local(name: str) -> LocalDataset:
    """The data set called NAME or NAME/VERSION.

    Raises:
        UnknownNameError: there is none here; the message names the nearest.
    """
    found = find_local(name)
    if found is not None:
        return found
    error = UnknownNameError("local data set", name, {d.name for d in local_datasets()})
    error.next_step = f"{error.next_step}; or fetch it: vla data download {name}"
    raise error


def _registered() -> list[LocalDataset]:
    path = register_path()
    if not path.is_file():
        return []
    try:
        document = read_json(path)
        return [from_dict(LocalDataset, d, where=str(path)) for d in document["datasets"]]
    except (ConfigError, DataError, KeyError, TypeError) as error:
        raise DataError(
            "the register of local data sets cannot be read",
            where=str(path),
            got=str(error),
            next_step=f"remove it and register again what you need: rm {path}",
        ) from error


def _describe(path: Path) -> LocalDataset:
    """A data set below the data directory: by its manifest, else by where it lies."""
    from vla_data.openx.manifest import load_manifest

    manifest = load_manifest(path)
    if manifest is not None:
        return LocalDataset(
            manifest.name,
            manifest.version,
            str(path),
            manifest.source,
            manifest.mode,
            manifest.state,
            bool(manifest.subset),
        )
    if path.name[:1].isdigit() and path.parent != data_directory():
        return LocalDataset(path.parent.name, path.name, str(path))
    return LocalDataset(path.name, "", str(path))


def _below(root: Path) -> list[Path]:
    from vla_data.formats.locate import find_datasets

    return find_datasets(root, _is_dataset)


def _is_dataset(path: Path) -> bool:
    from vla_data.formats import find_format

    return find_format(path) is not None
