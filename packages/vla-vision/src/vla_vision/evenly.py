"""A few of many, evenly, where nobody knows beforehand how many there will be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass
class Evenly(Generic[T]):
    """Keeps what it is shown, evenly spaced, never more than twice as many as are wanted."""

    wanted: int
    _kept: list[T] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, item: T) -> None:
        """Another one."""
        if self.wanted and self._seen % self._every == 0:
            self._kept.append(item)
            if len(self._kept) >= 2 * self.wanted:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._seen += 1

    def picked(self) -> list[T]:
        """As many as are wanted, or all there are."""
        count = min(self.wanted, len(self._kept))
        index = np.linspace(0, len(self._kept) - 1, count).round().astype(int) if count else []
        return [self._kept[i] for i in index]
