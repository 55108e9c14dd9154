"""The data model of records as rows a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vla_data.errors import DataError
from vla_data.formats.describe import FeatureRow, shorten
from vla_data.formats.example import Example
from vla_data.formats.features import Leaf
from vla_data.formats.leaves import decode_leaf
from vla_data.images import size, sniff


def feature_rows(leaves: Mapping[str, Leaf], example: Example, roles: Mapping[str, str]) -> list[FeatureRow]:
    """One row a leaf, in the order of keys, with an example from `example`."""
    return [_row(key, leaf, example, roles.get(key, "")) for key, leaf in sorted(leaves.items())]


def _row(key: str, leaf: Leaf, example: Example, role: str) -> FeatureRow:
    sizes = [*("T" if key.startswith("steps/") else "N",) * leaf.rank]
    sizes += ["?" if d is None else str(d) for d in leaf.shape]
    value, encoding = _value(key, leaf, example), str(leaf.encoding)
    first = value[0] if isinstance(value, list) and value else value
    if leaf.kind == "image" and isinstance(first, memoryview):
        found = sniff(first) or "unknown"
        encoding = found if leaf.encoding == found else f"{leaf.encoding}, found {found}"
        height, width = size(first, key)
        text = f"{len(value)} frames of {height}×{width}, the first {len(first):,} bytes"
    else:
        text = shorten(first)
    return FeatureRow(key, leaf.kind, f"[{', '.join(sizes)}]", leaf.dtype, encoding, text, role)


def _value(key: str, leaf: Leaf, example: Example) -> Any:
    try:
        return decode_leaf(example, key, leaf)
    except DataError as error:
        return f"({error.message})"
