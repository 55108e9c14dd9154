"""Free text within a line, and a line of fields: written so that reading gives back what was written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

ESCAPED = re.compile(r"\\(.)", re.DOTALL)
ITEM = re.compile(r"(?:\\.|[^\\;])*", re.DOTALL)
FIELD = re.compile(r"(?:\\.|[^\\,])*", re.DOTALL)
EXACT = 2**53  # below it a float is the whole number it looks like


def line(text: str) -> str:
    """A text as one line, in which nothing looks like a special token."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("<|", "<\\|")


def unline(text: str) -> str:
    """What `line` was given."""
    return ESCAPED.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1), text)


def fields(values: Iterable[str | float]) -> str:
    """Values with commas between them."""
    return ", ".join(_number(v) if not isinstance(v, str) else _field(v) for v in values)


def unfields(text: str) -> list[str]:
    """The values of `fields`, as text."""
    return [unline(part) for part in _split(text, FIELD)]


def items(parts: Iterable[str]) -> str:
    """Lines of fields with semicolons between them."""
    return "; ".join(parts)


def unitems(text: str) -> list[str]:
    """What `items` was given."""
    return _split(text, ITEM) if text else []


def _number(value: float) -> str:
    """As short as reads back the same."""
    whole = math.isfinite(value) and abs(value) < EXACT and value == int(value)
    return repr(int(value)) if whole else repr(float(value))


def _field(text: str) -> str:
    return line(text).replace(",", "\\,").replace(";", "\\;")


def _split(text: str, piece: re.Pattern[str]) -> list[str]:
    """Pieces between separators, the space after each of which is not part of any."""
    found, at = [], 0
    while True:
        match = piece.match(text, at)
        assert match is not None
        found.append(match.group())
        at = match.end() + 2
        if match.end() >= len(text):
            return found
