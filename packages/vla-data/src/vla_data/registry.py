"""A registry is a plain `dict[str, factory]`; this is its one lookup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from vla_data.errors import UnknownNameError

T = TypeVar("T")


def lookup(kind: str, table: Mapping[str, T], name: str) -> T:
    """The entry called `name`.

    Args:
        kind: what the table holds, for the message ("policy", "preset", …).
        table: name → entry. Heavy imports belong inside the entries' factories.
        name: the name asked for.

    Raises:
        UnknownNameError: no such entry; the message names the nearest ones.
    """
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(kind, name, table) from None
