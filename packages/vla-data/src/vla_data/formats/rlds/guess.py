"""What the keys of a data set without an entry seem to be."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vla_data.errors import DataError
from vla_data.formats.features import Leaf
from vla_data.formats.unknown import unknown_robot
from vla_data.openx.pieces import Picture, Piece
from vla_data.openx.standard import Standard

STATE_NAMES = ("state", "proprio", "robot_state", "eef_state", "joint_state")
TEXT_NAMES = ("language_instruction", "natural_language_instruction", "instruction")


def guess(leaves: Mapping[str, Leaf], where: str = "") -> Standard:
    """What the keys of an unknown data set seem to be. Nothing is assumed of what the numbers mean.

    Raises:
        DataError: no key looks like an action.
    """
    steps = {k.removeprefix("steps/"): v for k, v in leaves.items() if k.startswith("steps/") and v.rank == 1}
    numbers = {k: v for k, v in steps.items() if v.kind == "tensor" and None not in v.shape}
    action = (
        ("action",) if "action" in numbers else tuple(sorted(k for k in numbers if k.startswith("action/")))
    )
    if not action:
        raise DataError(
            "no key of a data set looks like an action",
            where=where,
            expected="steps/action, or numbers below it",
            got=", ".join(sorted(leaves)),
            next_step="say which key it is in a standard.toml beside the data set",
        )
    state = next((f"observation/{n}" for n in STATE_NAMES if f"observation/{n}" in numbers), None)
    texts = [k for k, v in steps.items() if v.kind == "text"]
    named = [k for name in TEXT_NAMES for k in texts if k.rsplit("/", 1)[-1] == name]
    pictures = [k for k, v in steps.items() if v.kind == "image" and v.dtype == "uint8" and _is_colour(k, v)]
    widths = [sum(width(numbers[k]) for k in keys) for keys in (action, (state,) if state else ())]
    return Standard(
        robot=unknown_robot(widths[0], widths[1]),
        action=tuple(map(Piece, action)),
        state=(Piece(state),) if state else (),
        cameras={k.removeprefix("observation/"): Picture(k) for k in sorted(pictures)},
        instruction=named[0] if named else None,
        status="guessed",
        rate_assumed=True,
    )


def width(leaf: Leaf) -> int:
    """Numbers in one step; 0 when that varies."""
    return math.prod(d or 0 for d in leaf.shape)


def _is_colour(key: str, leaf: Leaf) -> bool:
    return len(leaf.shape) == 3 and leaf.shape[-1] in (3, 4, None) and "depth" not in key
