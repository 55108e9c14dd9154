"""Refusals, counted: one by one while they are few, ever more in a line where a crowd goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SOONEST, LATEST = 1.0, 60.0  # seconds between two lines about one caller and one reason


@dataclass
class _Counted:
    count: int = 0
    due: float = float("-inf")  # when the next line may come
    apart: float = SOONEST
    what: str = ""
    remote: str = ""


class Refusals:
    """Says when a line about refusals is to be written, and what it tells.

    Lines about one caller and one reason are a second apart at least, and twice as far as before where they
    go on, up to a minute. Each tells how many refusals it stands for, and the latest of them.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Counted] = {}

    def add(self, caller: str, what: str, reason: str, remote: str) -> list[dict[str, Any]]:
        """Somebody was refused; the lines that are to be written now."""
        kind = self._kinds.setdefault((caller, reason), _Counted())
        kind.count += 1
        kind.what, kind.remote = what, remote
        return self.due()

    def due(self, *, every: bool = False) -> list[dict[str, Any]]:
        """Lines whose time has come; `every`: and the others."""
        now, lines = self._clock(), []
        for (caller, reason), kind in self._kinds.items():
            if not kind.count or (now < kind.due and not every):
                continue
            told = {"reason": reason, "remote": kind.remote, "count": kind.count}
            lines.append({"caller": caller, "what": kind.what, **told})
            kind.apart = min(2 * kind.apart, LATEST) if now < kind.due + kind.apart else SOONEST
            kind.due, kind.count = now + kind.apart, 0
        return lines
