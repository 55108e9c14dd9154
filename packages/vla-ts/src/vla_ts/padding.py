"""Actions of different robots side by side: one place for every kind of number, a mask for what one lacks.

Places are shared by meaning: the first position of every robot stands in one column, its first gripper in
another, whatever else the robots have. What a robot lacks is 0, and 0 is the middle after normalising.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float32

from vla_data.errors import DataError
from vla_data.types import ActionSpec, Quantity

ORDER: tuple[Quantity, ...] = ("position", "rotation", "joint", "base", "other", "gripper")


@dataclass(frozen=True)
class DimLayout:
    """Columns that hold the actions of several robots; each says what stands there."""

    columns: tuple[Quantity, ...]

    @classmethod
    def of(cls, specs: Iterable[ActionSpec]) -> Self:
        """As many columns of each kind as the robot that has most of it needs."""
        counts = [Counter(d.quantity for d in spec.dims) for spec in specs]
        return cls(tuple(q for q in ORDER for _ in range(max((c[q] for c in counts), default=0))))

    @property
    def width(self) -> int:
        return len(self.columns)

    def places(self, spec: ActionSpec) -> tuple[int, ...]:
        """The column of each dimension of a robot.

        Raises:
            DataError: the robot has numbers for which there is no column.
        """
        free = {q: iter([i for i, c in enumerate(self.columns) if c == q]) for q in ORDER}
        places = tuple(next(free[d.quantity], None) for d in spec.dims)
        lacking = [d.name for d, place in zip(spec.dims, places, strict=True) if place is None]
        if lacking:
            raise DataError(
                "an unknown embodiment: this robot has numbers the others did not have",
                expected=", ".join(f"{n} × {q}" for q, n in Counter(self.columns).items()),
                got=f"{', '.join(d.name for d in spec.dims)}, without a place: {', '.join(lacking)}",
                next_step="fit again on a mixture that holds this robot",
            )
        return tuple(place for place in places if place is not None)

    def pad(
        self, chunks: Float32[np.ndarray, "n horizon dim"], spec: ActionSpec
    ) -> tuple[Float32[np.ndarray, "n horizon width"], Bool[np.ndarray, "width"]]:
        """A robot's (normalised) chunks in these columns, and which columns it has; others hold 0.

        Raises:
            DataError: another width than the spec's, or no place for a number.
        """
        places = self.places(spec)
        if chunks.ndim != 3 or chunks.shape[2] != spec.dim:
            raise DataError(
                "chunks of another width than their spec's",
                where="DimLayout.pad",
                expected=f"[N, horizon, {spec.dim}]",
                got=f"{list(chunks.shape)}",
            )
        padded = np.zeros((*chunks.shape[:2], self.width), np.float32)
        padded[:, :, list(places)] = chunks
        mask = np.zeros(self.width, bool)
        mask[list(places)] = True
        return padded, mask

    def unpad(
        self, padded: Float32[np.ndarray, "n horizon width"], spec: ActionSpec
    ) -> Float32[np.ndarray, "n horizon dim"]:
        """A robot's own numbers, in its own order."""
        return padded[:, :, list(self.places(spec))]
