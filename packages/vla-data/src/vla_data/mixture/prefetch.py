"""Items of a source made ahead by processes, handed out in order."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Generator
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar, runtime_checkable

from vla_data.errors import VlaError
from vla_data.pool import end_with_parent

T = TypeVar("T", covariant=True)
POLL_SECONDS = 1.0  # between two looks whether a silent worker is alive
STOP_SECONDS = 5.0


@runtime_checkable
class Indexed(Protocol[T]):
    """Anything with `[index]`; picklable when workers are used."""

    def __getitem__(self, index: int, /) -> T: ...


def iterate(
    source: Indexed[T], positions: range, *, workers: int = 0, ahead: int = 4
) -> Generator[T, None, None]:
    """`source[p]` for each position in order.

    Worker w of W makes every W-th item; each has at most `ahead` finished items waiting, so memory is
    bounded however slowly they are taken. Without workers items are made here, when asked for.

    Raises:
        VlaError: a worker died; errors of the source pass through, at the item that raised them.
    """
    if workers < 1:
        yield from (source[p] for p in positions)
        return
    context = multiprocessing.get_context("spawn")
    lines = []
    for w in range(min(workers, max(1, len(positions)))):
        line = context.Queue(maxsize=max(1, ahead))
        task = (source, positions[w::workers], line)
        lines.append((context.Process(target=_work, args=task, daemon=True), line))
    try:
        for process, _ in lines:
            process.start()
        for i, position in enumerate(positions):
            process, line = lines[i % len(lines)]
            yield _take(process, line, position)
    finally:
        _stop([process for process, _ in lines])


def _work(source: Indexed[Any], positions: range, line: Any) -> None:
    end_with_parent()
    for position in positions:
        try:
            item = source[position]
        except Exception as error:  # told where it can be handled
            known = isinstance(error, VlaError | IndexError)
            told = error if known else VlaError(f"{type(error).__name__}: {error}", where=f"item {position}")
            line.put((position, told, False))
            return
        line.put((position, item, True))


def _take(process: BaseProcess, line: Any, position: int) -> Any:
    while True:
        alive = process.is_alive()  # before looking: what a worker left behind when it ended still counts
        try:
            at, item, good = line.get(timeout=POLL_SECONDS)
            break
        except queue.Empty:
            if not alive:
                raise _lost(position, f"exit code {process.exitcode}") from None
    if at != position:
        raise _lost(position, f"item {at}, so one could not be sent")
    if not good:
        raise item
    return item


def _lost(position: int, got: str) -> VlaError:
    return VlaError(
        "a worker process died",
        where=f"item {position}",
        got=f"{got}; killed, or out of memory",
        next_step="resume from the last state; fewer workers or smaller cache_bytes use less memory",
    )


def _stop(processes: list[BaseProcess]) -> None:
    started = [p for p in processes if p.pid is not None]
    for process in started:
        process.terminate()
    for process in started:
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
