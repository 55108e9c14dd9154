"""Which demonstrations are in which file, and what splits the files name.

The layout is robomimic's (Mandlekar et al. 2021, arXiv:2108.03298), which LIBERO shares: `data/demo_<i>`
holds `actions`, `rewards`, `dones` and `obs/<key>`, each leading with T; `mask/<name>` lists the
demonstrations of a split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import DataError, UnknownNameError
from vla_data.files import inside
from vla_data.formats import HDF5_NAMES
from vla_data.formats.hdf5.store import member, names, opened

ALL = "train"  # the split of everything, in files that name no such split


@dataclass(frozen=True)
class Demo:
    """A demonstration: its file and its name in it."""

    path: Path
    name: str


@dataclass(frozen=True)
class Layout:
    """The files of a data set, and its splits."""

    root: Path
    files: tuple[Path, ...]
    splits: dict[str, tuple[Demo, ...]]

    @classmethod
    def read(cls, root: Path) -> Layout:
        """Raises DataError when a file is damaged or holds no demonstration."""
        files = _files(root)
        masks = [_splits(path) for path in files]
        found: dict[str, list[Demo]] = {}
        for path, splits in zip(files, masks, strict=True):
            for split, demos in splits.items():
                found.setdefault(split, []).extend(Demo(path, d) for d in demos)
        return cls(root, files, {k: tuple(v) for k, v in found.items()})

    @property
    def name(self) -> str:
        return self.root.stem if self.root.is_file() else self.root.name

    def split(self, name: str) -> tuple[Demo, ...]:
        """The demonstrations of a split; raises UnknownNameError when there is none of that name."""
        if name not in self.splits:
            raise UnknownNameError("split", name, self.splits, where=str(self.root))
        return self.splits[name]


def _files(root: Path) -> tuple[Path, ...]:
    if root.is_file():
        return (root,)
    found = [p for p in root.iterdir() if p.suffix in HDF5_NAMES and not p.name.startswith(".")]
    return tuple(inside(root, p.name, root) for p in sorted(found))


def _splits(path: Path) -> dict[str, list[str]]:
    """Split → demonstrations, in the order of their numbers."""
    with opened(path) as file:
        data = member(file, "data")
        demos = sorted(names(data), key=_number) if data is not None else []
        if not demos:
            raise DataError(
                "an HDF5 file holds no demonstration",
                where=str(path),
                expected="data/demo_0, data/demo_1, … as robomimic and LIBERO write them",
                got=", ".join(names(file)[:8]) or "nothing",
            )
        masks = member(file, "mask")
        found = {} if masks is None else {m: _listed(member(masks, m), demos, path) for m in names(masks)}
        return found if ALL in found else {ALL: demos, **found}


def _listed(mask: Any, demos: list[str], path: Path) -> list[str]:
    wanted = {v.decode() if isinstance(v, bytes) else str(v) for v in np.asarray(mask[()]).ravel().tolist()}
    absent = wanted - set(demos)
    if absent:
        raise DataError(
            "a split lists a demonstration that is not there",
            where=f"{path}, {mask.name}",
            expected=f"some of {len(demos)} demonstrations",
            got=", ".join(sorted(absent)[:4]),
        )
    return [d for d in demos if d in wanted]


def _number(name: str) -> tuple[int, str]:
    digits = re.search(r"(\d{1,18})$", name)
    return (int(digits[1]) if digits else -1, name)
