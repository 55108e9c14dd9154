"""Work units over a pool of processes: the one way this suite uses more than one core for data."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from vla_data.errors import VlaError

U = TypeVar("U")
R = TypeVar("R")


class WorkerDiedError(VlaError):
    """A process of a pool ended before its work."""


def cpu_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_units(
    work: Callable[[U], R], units: Sequence[U], workers: int | None = None
) -> Iterator[tuple[U, R]]:
    """Run `work` on each unit in spawned processes; (unit, result) as each ends, in any order.

    Workers are spawned, not forked: a fork would carry over GL contexts and thread pools. One worker runs
    in this process's child too, so that results do not depend on the number.

    Raises:
        WorkerDiedError: a worker died (named with the units that were under way).
        Exception: what `work` raised.
    """
    if not units:
        return
    count = max(1, min(workers or cpu_count(), len(units)))
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, mp_context=context, initializer=end_with_parent) as pool:
        futures = {pool.submit(work, unit): unit for unit in units}
        try:
            for future in as_completed(futures):
                result = future.result()
                yield futures.pop(future), result
        except BrokenProcessPool as error:
            left = [str(u) for f, u in futures.items() if not f.done() or f.exception() is not None]
            raise WorkerDiedError(
                "a worker process died",
                where=f"one of: {', '.join(left[:4])}",
                got="killed, or out of memory",
                next_step="run the command again: finished units are kept; fewer --workers use less memory",
            ) from error
        except (KeyboardInterrupt, GeneratorExit):  # nobody waits for the units under way any more
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        finally:
            for future in futures:
                future.cancel()


def end_with_parent() -> None:
    """A worker's first act: see to it that it does not outlive its parent, as it would after kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def is_helper() -> bool:
    """Whether this process only helps another to train on several devices: it draws nothing and leaves run
    directories alone. The others run the same command again (Lightning's launcher)."""
    return int(os.environ.get("LOCAL_RANK", "0") or 0) > 0
