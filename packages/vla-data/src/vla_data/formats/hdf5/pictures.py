"""Images of demonstrations, each read when looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_data.formats.hdf5.layout import Demo
from vla_data.formats.hdf5.store import member, opened, read_frame
from vla_data.types import Image


@dataclass(frozen=True)
class Hdf5Images:
    """An `ImageSequence` over a data set of images, each read when indexed."""

    demo: Demo
    key: str
    steps: int
    bottom_up: bool

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Image:
        if not -self.steps <= index < self.steps:
            raise IndexError(f"frame {index} of {self.steps}")
        with opened(self.demo.path) as file:
            frame = read_frame(member(demo_of(file, self.demo.name), self.key), index % self.steps)
        return np.ascontiguousarray(frame[::-1]) if self.bottom_up else frame


def shape_of(where: Demo, key: str) -> tuple[int, ...]:
    """The shape of a data set of a demonstration; empty when it is not there."""
    with opened(where.path) as file:
        return tuple(getattr(member(demo_of(file, where.name), key), "shape", ()))


def demo_of(file: Any, name: str) -> Any:
    """The group of a demonstration."""
    return member(file, f"data/{name}")
