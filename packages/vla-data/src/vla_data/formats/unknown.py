"""What is said of data whose meaning nobody wrote down: names and widths, and that the rest is a guess."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from vla_data.openx.standard import ASSUMED_HZ
from vla_data.types import ActionDim, ActionSpec, Episode, RobotSpec, StateDim

SERIES_LIMIT = 64  # wider columns are embeddings and the like, not series of a robot


def unknown_robot(
    action: int | Sequence[str],
    state: int | Sequence[str],
    control_hz: float = ASSUMED_HZ,
    name: str = "unknown",
) -> RobotSpec:
    """A robot of which only the widths, or the names, of its action and state are known.

    Its action compares equal to no standardised one, so nothing drives a robot with it by mistake.
    """
    names = _names("action", action)
    dims = tuple(ActionDim(n, "other", "absolute", "none") for n in names)
    return RobotSpec(name, ActionSpec(dims, control_hz), tuple(StateDim(n) for n in _names("state", state)))


def _names(what: str, given: int | Sequence[str]) -> list[str]:
    return [f"{what}_{i}" for i in range(given)] if isinstance(given, int) else list(given)


def series_checksum(episode: Episode) -> tuple[int, int]:
    """(steps, CRC-32 of action, state, time and series): tells episodes apart in formats that store no sum.

    Episodes that differ in images alone are not told apart.
    """
    value = 0
    named = {"action": episode.action, "state": episode.state, "time": episode.time, **episode.series}
    for name in sorted(named):
        value = zlib.crc32(np.ascontiguousarray(named[name]).tobytes(), zlib.crc32(name.encode(), value))
    return len(episode), value
