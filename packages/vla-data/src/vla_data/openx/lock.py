"""Locks between processes, held by the system and so gone with whoever held them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vla_data.errors import VlaError


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock that is the file `path`.

    Raises:
        VlaError: somebody else holds it and `wait` is off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VlaError(
                "another process is at work on this directory",
                where=str(path.parent),
                next_step="wait until it is done, or end it",
            ) from None
        yield
