"""What is done to numbers of a foreign data set so that they mean what this suite means.

Grippers end up absolute, 1 open and 0 closed, as in the public transforms of Octo (arXiv:2405.12213) and
OpenVLA (arXiv:2406.09246). Every conversion takes and gives columns [T, n] and looks at nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

Columns = Float32[np.ndarray, "time columns"]
Row = Float32[np.ndarray, "1 columns"]

SETTLED = 0.05  # a gripper command this near to 0 or 1 says closed or open; between, it is on its way
ASKED = 0.1  # a relative gripper command smaller than this asks for no change


def clip(values: Columns) -> Columns:
    """Into [0, 1]."""
    return np.clip(values, np.float32(0), np.float32(1))


def invert(values: Columns) -> Columns:
    """[0, 1] the other way round: 1 closed becomes 1 open."""
    return np.float32(1) - values


def signed(values: Columns) -> Columns:
    """[-1, 1] → [0, 1]."""
    return (values + np.float32(1)) / np.float32(2)


def relative(values: Columns) -> Columns:
    """Changes (+1 close, -1 open, about 0 none) → what the gripper is told to be, 1 open and 0 closed.

    Before its first change a gripper is the other way, since nobody closes what is closed; a gripper that
    is never told anything is open.
    """
    if not len(values):
        return values
    told = np.where(values < -ASKED, 1, np.where(values > ASKED, -1, 0)).astype(np.float32)
    return (_held(told, _before_first(told)) + np.float32(1)) / np.float32(2)


def binarise(values: Columns) -> Columns:
    """To 0 or 1: what is between counts as where the gripper gets to; at the end, as the nearer one."""
    if not len(values):
        return values
    sure = np.where(values > 1 - SETTLED, 1, np.where(values < SETTLED, -1, 0)).astype(np.float32)
    last = np.where(values[-1:] >= 0.5, 1, -1).astype(np.float32)
    return (_held(sure[::-1], last)[::-1] + np.float32(1)) / np.float32(2)


def _before_first(told: Columns) -> Row:
    """The opposite of each column's first value that is not 0, [1, n]; 1 where there is none."""
    first = np.take_along_axis(told, (told != 0).argmax(axis=0)[None], axis=0)
    return np.where(first == 0, np.float32(1), -first)


def _held(told: Columns, start: Row) -> Columns:
    """Each 0 replaced by the value before it; `start` [1, n] comes before the first."""
    rows = np.arange(1, len(told) + 1)[:, None]
    latest = np.maximum.accumulate(np.where(told != 0, rows, 0), axis=0)
    return np.take_along_axis(np.concatenate([start, told]), latest, axis=0)


CONVERSIONS: dict[str, Callable[[Columns], Columns]] = {
    "clip": clip,
    "invert": invert,
    "signed": signed,
    "relative": relative,
    "binarise": binarise,
}
