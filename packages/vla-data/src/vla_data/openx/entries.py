"""The entries of all catalogued data sets by name, and how a reader finds the one it needs."""

from __future__ import annotations

from pathlib import Path

from vla_data.openx.standard import Entry, Standard, load_standard
from vla_data.openx.standards import (
    berkeley,
    carnegie,
    europe,
    google,
    newyork,
    others,
    simulated,
    stanford,
    texas,
    tokyo,
)

FILE_NAMES = ("standard.toml", "standard.json")
LABS = (berkeley, carnegie, europe, google, newyork, others, simulated, stanford, texas, tokyo)
ENTRIES: dict[str, Entry] = {name: entry for lab in LABS for name, entry in sorted(lab.ENTRIES.items())}


def find_standard(name: str, directory: Path | None = None) -> Standard | None:
    """The entry of a data set: the one that lies beside its files, else the one known by its name.

    Raises:
        ConfigError, UnknownNameError: the file beside the data set is no entry.
    """
    for file in FILE_NAMES if directory is not None else ():
        assert directory is not None
        if (directory / file).is_file():
            return load_standard(directory / file)
    return ENTRIES[name].build(name) if name in ENTRIES else None
