"""Units of work for the tests of engines, in a module of their own that workers can import."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vla_data.errors import DataError


@dataclass(frozen=True)
class Count:
    """A result that is a dataclass."""

    unit: int
    parts: tuple[int, ...]
    process: int


def count(unit: int) -> Count:
    return Count(unit, tuple(range(unit)), os.getpid())


def refuse(unit: int) -> int:
    if unit == 2:
        raise DataError("a record is broken", where=f"shard {unit}", expected="crc 1", got="x", next_step="y")
    return unit


def give_an_object(unit: int) -> object:
    return object()
