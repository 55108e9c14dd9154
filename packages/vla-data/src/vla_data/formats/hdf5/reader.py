"""Reading demonstrations of robomimic and LIBERO: one HDF5 file, or a directory of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from vla_data.errors import DataError
from vla_data.formats import find_format
from vla_data.formats.describe import FeatureRow, SplitRow, shorten
from vla_data.formats.hdf5.convention import Convention, Stored, find_convention, instruction_of, stored_in
from vla_data.formats.hdf5.layout import Demo, Layout
from vla_data.formats.hdf5.pictures import Hdf5Images, demo_of, shape_of
from vla_data.formats.hdf5.store import import_h5py, member, opened, read_numbers
from vla_data.formats.locate import locate, to_path
from vla_data.formats.unknown import series_checksum
from vla_data.types import Camera, Episode, RobotSpec


class Hdf5Reader:
    """Demonstrations of one split, by index; an `EpisodeReader`.

    Pickles as a path; files are opened on first use, a few at a time.

    Args:
        layout: the data set's files.
        split: which of its splits.
    """

    def __init__(self, layout: Layout, split: str) -> None:
        self.layout, self.split = layout, split
        self._demos = layout.split(split)

    @classmethod
    def open(cls, path: str | Path, split: str = "train") -> Self:
        """Open a split of the file or directory at `path`, or of the one below it.

        Raises:
            UnknownNameError: there is no such data set or split.
            DataError: a file is missing, truncated or damaged, holds no demonstration, or leads elsewhere.
            MissingDependencyError: h5py is not installed.
        """
        import_h5py()
        return cls(Layout.read(locate(to_path(path), lambda p: find_format(p) == "hdf5")), split)

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def robot(self) -> RobotSpec:
        return self.convention.robot

    @property
    def cameras(self) -> dict[str, Camera]:
        """Camera name → what is known of it."""
        return dict(self.convention.cameras)

    @property
    def rate_assumed(self) -> bool:
        """Whether the control rate is a guess."""
        return self.convention.assumed

    @cached_property
    def convention(self) -> Convention:
        """What the numbers mean; series and cameras are those that every file has."""
        common: dict[str, Stored] | None = None
        for path in self.layout.files:
            with opened(path) as file:
                here = stored_in(demo_of(file, self._first(path)))
            common = here if common is None else {k: s for k, s in common.items() if here.get(k) == s}
        assert common is not None
        if "actions" not in common:
            raise DataError(
                "the demonstrations have no actions, or not all of one width",
                where=str(self.layout.root),
                expected="data/demo_<i>/actions, alike in every file",
                got=", ".join(common) or "nothing in common",
            )
        with opened(self.layout.files[0]) as file:
            return find_convention(member(file, "data"), common)

    def __len__(self) -> int:
        return len(self._demos)

    def __getitem__(self, index: int) -> Episode:
        """An episode, images read when looked at.

        Raises:
            IndexError: no such episode.
            DataError: it is damaged, or its arrays disagree in length or with the other demonstrations.
        """
        return self._episode(self._at(index), images=True)

    def read_series(self, index: int) -> Episode:
        """An episode without images, of which not a byte is read."""
        return self._episode(self._at(index), images=False)

    def checksums(self) -> list[tuple[int, int]]:
        """(steps, CRC of the numbers) of each episode; images are not looked at."""
        return [series_checksum(self.read_series(i)) for i in range(len(self))]

    def split_rows(self) -> list[SplitRow]:
        """What the data set is divided into."""
        rows = []
        for name, demos in self.layout.splits.items():
            files = {d.path for d in demos}
            rows.append(SplitRow(name, len(demos), len(files), sum(p.stat().st_size for p in files)))
        return rows

    def feature_rows(self) -> list[FeatureRow]:
        """Every data set of a demonstration, with an example from the first one."""
        if not self._demos:
            return []
        with opened(self._demos[0].path) as file:
            demo = demo_of(file, self._demos[0].name)
            return [self._row(demo, key, stored) for key, stored in sorted(stored_in(demo).items())]

    def _row(self, demo: Any, key: str, stored: Stored) -> FeatureRow:
        node = member(demo, key)
        kind = "image" if stored.is_picture else "tensor"
        sizes = ", ".join(["T", *map(str, stored.shape)])
        if kind == "image":
            height, width, _ = stored.shape
            example = f"{len(node)} frames of {height}×{width}"
        else:
            example = shorten(node[:1]) if len(node) else ""
        role = self.convention.roles.get(key, "")
        return FeatureRow(key, kind, f"[{sizes}]", stored.dtype, node.compression or "none", example, role)

    def _episode(self, where: Demo, images: bool) -> Episode:
        convention = self.convention
        with opened(where.path) as file:
            data, demo = member(file, "data"), demo_of(file, where.name)
            action = _numbers(demo, "actions", where).astype(np.float32)
            steps = len(action)
            _check_length(demo, steps, where)
            parts = [_numbers(demo, k, where).astype(np.float32).reshape(steps, -1) for k in convention.state]
            state = np.concatenate(parts, axis=1) if parts else np.zeros((steps, 0), np.float32)
            series = {n: _numbers(demo, k, where) for n, k in convention.series.items()}
            said = instruction_of(data, demo, where.path)
        action = action.reshape(steps, -1)
        self._require_widths(action, state, where)
        return Episode(
            id=self._id(where),
            robot=convention.robot,
            action=action,
            state=state,
            time=np.arange(steps) / convention.robot.action.control_hz,
            images={n: self._frames(where, k, steps) for n, k in convention.pictures.items()}
            if images
            else {},
            instruction=said,
            cameras=dict(convention.cameras),
            series=series,
            metadata=self._metadata(where),
        )

    def _metadata(self, where: Demo) -> dict[str, str]:
        said = {"file": where.path.name, "demo": where.name}
        return said | (
            {"image_rows": "stored bottom up, turned upright"} if self.convention.bottom_up else {}
        )

    def _frames(self, where: Demo, key: str, steps: int) -> Hdf5Images:
        shape = shape_of(where, key)
        camera = self.convention.cameras[next(n for n, k in self.convention.pictures.items() if k == key)]
        if shape != (steps, camera.height, camera.width, 3):
            raise DataError(
                "images do not fit their demonstration",
                where=f"{where.path}, {where.name}, {key}",
                expected=str((steps, camera.height, camera.width, 3)),
                got=str(shape),
            )
        return Hdf5Images(where, key, steps, self.convention.bottom_up)

    def _require_widths(self, action: np.ndarray, state: np.ndarray, where: Demo) -> None:
        robot = self.convention.robot
        expected, got = (robot.action.dim, len(robot.state)), (action.shape[1], state.shape[1])
        if expected != got:
            raise DataError(
                "a demonstration has another action or state than the first",
                where=f"{where.path}, {where.name}",
                expected=f"{expected[0]} and {expected[1]} numbers a step",
                got=f"{got[0]} and {got[1]}",
            )

    def _id(self, where: Demo) -> str:
        return where.name if len(self.layout.files) == 1 else f"{where.path.stem}/{where.name}"

    def _first(self, path: Path) -> str:
        return next(d.name for demos in self.layout.splits.values() for d in demos if d.path == path)

    def _at(self, index: int) -> Demo:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"episode {index} of {count} in split {self.split!r} of {self.name}")
        return self._demos[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layout, self.split)


def _numbers(demo: Any, key: str, where: Demo) -> np.ndarray:
    node = member(demo, key)
    if node is None or not hasattr(node, "dtype"):
        raise DataError(
            "a demonstration lacks a data set that others have",
            where=f"{where.path}, {where.name}",
            expected=key,
            got=", ".join(demo.keys()),
        )
    return read_numbers(node)


def _check_length(demo: Any, steps: int, where: Demo) -> None:
    said = demo.attrs.get("num_samples")
    if said is not None and np.size(said) == 1 and int(said) != steps:
        raise DataError(
            "a demonstration holds another number of steps than it says",
            where=f"{where.path}, {where.name}",
            expected=f"num_samples {int(said)}",
            got=f"{steps} actions",
        )
