"""Many transfers at once, and how far they have come together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from vla_data.openx.faults import CancelledError
from vla_data.protocols import OnProgress, Progress

T = TypeVar("T")

EVERY = 0.2  # seconds between two reports
UNITS = ((10_000_000, 1_000_000, "MB"), (0, 1_000, "kB"))


def run_jobs(work: Callable[[T], None], items: Sequence[T], jobs: int, cancel: threading.Event) -> None:
    """Call `work` on each item, `jobs` at a time; it sees to its own errors.

    Threads are daemons and `cancel` calls them off: Ctrl-C ends at once, also while a socket is silent. What
    `work` raises all the same calls the others off and is raised here.
    """
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    unforeseen: list[BaseException] = []

    def labour() -> None:
        while not cancel.is_set():
            try:
                work(waiting.get_nowait())
            except (queue.Empty, CancelledError):
                return
            except BaseException as error:
                unforeseen.append(error)
                cancel.set()

    threads = [threading.Thread(target=labour, daemon=True) for _ in range(min(jobs, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    except BaseException:
        cancel.set()
        raise
    if unforeseen:
        raise unforeseen[0]


class Meter:
    """Bytes of many files as one progress; called from any thread."""

    def __init__(
        self, stage: str, sizes: dict[str, int], here: dict[str, int], on_progress: OnProgress
    ) -> None:
        self._stage, self._on_progress = stage, on_progress
        self._sizes, self._have = sizes, {name: here.get(name, 0) for name in sizes}
        self._total = sum(sizes.values())
        self._scale, self._unit = next((s, u) for least, s, u in UNITS if self._total >= least)
        self._lock, self._last = threading.Lock(), time.monotonic()
        self.report()

    def update(self, name: str, have: int) -> None:
        """So many bytes of a file are here."""
        with self._lock:
            self._have[name] = have
            now = time.monotonic()
            if now - self._last < EVERY:
                return
            self._last = now
            self.report()

    def report(self) -> None:
        """Tell where it stands."""
        whole = sum(have >= self._sizes[name] for name, have in self._have.items())
        done, total = sum(self._have.values()) / self._scale, self._total / self._scale
        words = f"{whole}/{len(self._sizes)} files"
        self._on_progress(Progress(self._stage, done, total, self._unit, message=words))
