"""Robots that differ, side by side: which column of a batch each dimension of a data set goes to.

Two dimensions share a column only where they mean the same, or where that was asked for (`pad`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vla_data.errors import SpecMismatchError
from vla_data.mixture.config import Embedding
from vla_data.types import RobotSpec

NEXT = 'bring them to one convention, or say embedding = "union" or "pad" in the mixture'


@dataclass(frozen=True)
class Member:
    """A data set as this module sees it; `assumed` says that nobody wrote down what its numbers mean."""

    name: str
    robot: RobotSpec
    assumed: bool = False


@dataclass(frozen=True, eq=False)
class ColumnMap:
    """Data set → the columns of its dimensions; `names` of all columns."""

    places: tuple[Int64[np.ndarray, "_dims"], ...]
    names: tuple[str, ...]

    @property
    def dim(self) -> int:
        return len(self.names)

    def spread(
        self, values: Float32[np.ndarray, "*batch dims"], dataset: int
    ) -> Float32[np.ndarray, "*batch columns"]:
        """Values of one data set in its columns, 0 elsewhere."""
        out = np.zeros((*values.shape[:-1], self.dim), np.float32)
        out[..., self.places[dataset]] = values
        return out

    def mask(self, dataset: int) -> Bool[np.ndarray, "columns"]:
        """Which columns a data set fills."""
        out = np.zeros(self.dim, bool)
        out[self.places[dataset]] = True
        return out


def embed(members: Sequence[Member], how: Embedding) -> tuple[ColumnMap, ColumnMap]:
    """Columns of actions and of states.

    Raises:
        SpecMismatchError: `how` is "same" and two data sets differ, or one's meaning is only assumed.
    """
    if how == "same":
        _require_same(members)
    if how in ("same", "pad"):
        return (
            _left([[d.name for d in m.robot.action.dims] for m in members]),
            _left([[d.name for d in m.robot.state] for m in members]),
        )
    return _union([_action_meanings(m) for m in members]), _union([_state_meanings(m) for m in members])


def _require_same(members: Sequence[Member]) -> None:
    first = members[0]
    for other in members[1:]:
        where = f"data sets {first.name} and {other.name} of a mixture"
        guessed = [m.name for m in (first, other) if m.assumed]
        if guessed:
            raise SpecMismatchError(
                "what the actions of a data set mean is a guess, so it cannot be mixed as if it were known",
                where=where,
                expected="data sets with a standard",
                got=f"none for {', '.join(guessed)}",
                next_step=NEXT,
            )
        try:
            first.robot.action.require_same(other.robot.action, where)
        except SpecMismatchError as error:
            error.next_step = NEXT
            raise
        if first.robot.state != other.robot.state:
            raise SpecMismatchError(
                "two states disagree",
                where=where,
                expected=_names(first),
                got=_names(other),
                next_step=NEXT,
            )


def _names(member: Member) -> str:
    return ", ".join(f"{d.name} [{d.unit}]" for d in member.robot.state) or "no state"


def _left(names: Sequence[Sequence[str]]) -> ColumnMap:
    """Column i is everybody's dimension i; named after it where all agree."""
    width = max(map(len, names))
    called = [{n[i] for n in names if i < len(n)} for i in range(width)]
    shown = tuple(c.pop() if len(c) == 1 else f"column {i}" for i, c in enumerate(called))
    return ColumnMap(tuple(np.arange(len(n), dtype=np.int64) for n in names), shown)


def _union(meanings: Sequence[Sequence[tuple[str, Hashable]]]) -> ColumnMap:
    """A column per meaning, in the order of first appearance."""
    table: dict[Hashable, int] = {}
    names: list[str] = []
    places = []
    for dims in meanings:
        seen: Counter[Hashable] = Counter()
        row = []
        for name, meaning in dims:
            key = (meaning, seen[meaning])  # two dimensions of one robot never share a column
            seen[meaning] += 1
            if key not in table:
                table[key] = len(table)
                names.append(name)
            row.append(table[key])
        places.append(np.array(row, np.int64))
    return ColumnMap(tuple(places), tuple(names))


def _action_meanings(member: Member) -> list[tuple[str, Hashable]]:
    """What makes two numbers of two actions the same; a delta also counts how long it has to happen."""
    spec, own = member.robot.action, member.name if member.assumed else ""
    return [
        (
            f"{d.name} {d.mode}",
            (
                own,
                *(d.name, d.quantity, d.mode, d.frame, d.unit, d.scale),
                spec.control_hz if d.mode == "delta" else None,
                spec.rotation if d.quantity == "rotation" else None,
                spec.gripper_closes if d.quantity == "gripper" else None,
            ),
        )
        for d in spec.dims
    ]


def _state_meanings(member: Member) -> list[tuple[str, Hashable]]:
    own = member.name if member.assumed else ""
    return [(d.name, (own, d.name, d.unit)) for d in member.robot.state]
