"""Where the values of an entry lie, in a few characters: `action[6] clip invert`, `hand_image bgr`.

A piece is a key below `steps`, perhaps some of its columns, and what is done to them in order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.openx.conversions import CONVERSIONS, Columns
from vla_data.registry import lookup

KEY = re.compile(r"(?P<key>[^\[\]]+)(?:\[(?P<columns>[\d:,]+)\])?")
OBSERVATION = "observation/"


@dataclass(frozen=True)
class Piece:
    """Numbers of a key.

    Args:
        key: below `steps/`.
        columns: of the value laid out flat; None takes all of them.
        convert: names in `vla_data.openx.conversions`, applied in order.
        scale: what the numbers are multiplied by first.
    """

    key: str
    columns: tuple[int, ...] | None = None
    convert: tuple[str, ...] = ()
    scale: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether the key's numbers are taken as they are."""
        return self.columns is None and not self.convert and self.scale == 1.0

    def take(self, values: np.ndarray) -> Columns:
        """The piece of a key's values [T, ...], as columns [T, n]."""
        flat = values.reshape(len(values), -1)
        flat = flat if self.columns is None else flat[:, self.columns]
        found = np.asarray(flat, np.float32)
        found = found if self.scale == 1.0 else found * np.float32(self.scale)
        for name in self.convert:
            found = CONVERSIONS[name](found)
        return found


@dataclass(frozen=True)
class Picture:
    """Frames of a camera. `bgr`: stored with red and blue swapped, which reading undoes."""

    key: str
    bgr: bool = False


@dataclass(frozen=True)
class DepthPicture:
    """Depth frames; a stored unit is `metres` long."""

    key: str
    metres: float = 1.0


def parse_piece(text: str, where: str) -> Piece:
    """A piece from its text.

    Raises:
        UnknownNameError: a conversion of that name does not exist.
        ConfigError: the text is not of the grammar.
    """
    key, *words = text.split() or [""]
    match = KEY.fullmatch(key)
    if match is None:
        raise _unreadable(text, where, "key, key[3], key[0:6] or key[3,0:2], then conversions")
    factors, convert = [w for w in words if w[0] == "*"], [w for w in words if w[0] != "*"]
    for name in convert:
        lookup("conversion", CONVERSIONS, name)
    columns = _columns(match["columns"], text, where) if match["columns"] else None
    return Piece(match["key"], columns, tuple(convert), _factor(factors, text, where))


def parse_picture(text: str, where: str) -> Picture:
    """A camera from its text: a key, `bgr` behind it when its frames are stored so."""
    key, *words = text.split() or [""]
    for word in words:
        if word != "bgr":
            raise UnknownNameError("property of a camera", word, ["bgr"], where=where)
    return Picture(_observed(key), bool(words))


def parse_depth(text: str, where: str) -> DepthPicture:
    """A depth camera from its text: a key and `*0.001` for how many metres a stored unit is."""
    key, *words = text.split() or [""]
    return DepthPicture(_observed(key), _factor(words, text, where))


def _observed(key: str) -> str:
    """Cameras lie below `observation` unless their key says where."""
    return key if "/" in key else OBSERVATION + key


def _columns(text: str, whole: str, where: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        first, colon, stop = part.partition(":")
        if not first or (colon and not stop):
            raise _unreadable(whole, where, "columns such as 3, 0:6 or 3,0:2")
        found += range(int(first), int(stop)) if colon else [int(first)]
    return tuple(found)


def _factor(words: Sequence[str], text: str, where: str) -> float:
    try:
        factors = [float(w.removeprefix("*")) for w in words if w.startswith("*")]
    except ValueError:
        factors = []
    if len(factors) != len(words) or len(words) > 1:
        raise _unreadable(text, where, "at most one factor, such as *0.001")
    return factors[0] if factors else 1.0


def _unreadable(text: str, where: str, expected: str) -> ConfigError:
    return ConfigError("where a value lies cannot be read", where=where, expected=expected, got=repr(text))
