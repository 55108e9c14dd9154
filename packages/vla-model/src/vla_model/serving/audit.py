"""Who asked for what, when, and what came of it: one JSON line each, appended and flushed."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from vla_model.serving.refusals import Refusals

LONGEST = 300  # characters of a value


class AuditLog:
    """Lines about calls.

    Args:
        path: None keeps the latest in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._refusals = Refusals()
        self._latest: deque[dict[str, Any]] = deque(maxlen=200)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8") if path is not None else None

    def add(self, caller: str, what: str, outcome: str, seconds: float = 0.0, **told: Any) -> None:
        """A line; a disk that is full is none of the robot's business."""
        with self._lock:
            self._write_refusals(self._refusals.due())
            self._write(caller, what, outcome, seconds, **told)

    def refused(self, caller: str, what: str, reason: str, remote: str) -> None:
        """Somebody was refused; a crowd is counted, and fills neither disk nor time (`Refusals`).

        Args:
            caller: "?" where nobody knows.
            what: that was asked for.
            reason: a word: "host", "token", "scope", "body".
            remote: address; empty where there is no network between.
        """
        with self._lock:
            self._write_refusals(self._refusals.add(caller, what, reason, remote))

    def latest(self) -> list[dict[str, Any]]:
        """The last lines, oldest first."""
        with self._lock:
            self._write_refusals(self._refusals.due())
            return list(self._latest)

    def close(self) -> None:
        """No more lines."""
        with self._lock:
            self._write_refusals(self._refusals.due(every=True))
            if self._file is not None:
                self._file.close()

    def _write_refusals(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            self._write(outcome="refused", seconds=0.0, **line)

    def _write(self, caller: str, what: str, outcome: str, seconds: float, **told: Any) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time() % 1 * 1000:03.0f}Z",
            "caller": caller,
            "what": what,
            "outcome": outcome,
            "ms": round(seconds * 1000, 1),
            **{k: _short(v) for k, v in told.items()},
        }
        self._latest.append(line)
        if self._file is not None:
            try:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
            except (OSError, ValueError):  # full, or closed while a call was under way
                pass


def _short(value: Any) -> Any:
    text = json.dumps(value, default=str)
    return value if len(text) <= LONGEST else text[:LONGEST] + "…"
