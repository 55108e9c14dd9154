"""A process that must answer soon does not stop to look for garbage.

Python's collector looks through every container that is alive, and no thread goes on meanwhile: with the
libraries of a policy or a server loaded that took 165 ms, a dozen times a minute under load, of a robot that
shall stop within 100.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_pauses() -> Iterator[None]:
    """What is alive now is not looked through until left; what is made later is, and takes little."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
