"""What can go wrong between a source and the disk, what of it may pass, and how long to go on trying."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from vla_data.errors import EXIT_ENVIRONMENT, VlaError

T = TypeVar("T")

LONGEST_WAIT = 300.0  # seconds a server may ask us to wait


class SourceError(VlaError):
    """A source cannot be reached, refuses, or does not hold what was asked for."""


class MissingError(SourceError):
    """The source has no such object."""


class ChangedError(SourceError):
    """The object is another one than was listed."""


class TransientError(SourceError):
    """A failure that may pass; `after` is how long the server asks us to wait, in seconds."""

    after: float = 0.0


class DiskSpaceError(VlaError):
    """No room, or no more room, where the bytes should go."""

    exit_code = EXIT_ENVIRONMENT


class CancelledError(Exception):
    """Somebody called the work off."""


@dataclass(frozen=True)
class Patience:
    """How long to go on.

    Args:
        attempts: failures in a row after which to give up.
        first_delay: seconds before the second attempt; doubles each time, with jitter.
        longest_delay: where the doubling ends; a server's Retry-After may ask for more.
        timeout: seconds without a byte after which a connection counts as dead.
    """

    attempts: int = 6
    first_delay: float = 0.5
    longest_delay: float = 60.0
    timeout: float = 30.0

    def wait(self, failures: int, error: SourceError, cancel: threading.Event) -> None:
        """Sleep before the next attempt.

        Raises:
            SourceError: `error`, when there is no attempt left.
            CancelledError: the work was called off.
        """
        if failures >= self.attempts:
            error.got = f"{error.got or error.message}, {failures} times in a row"
            raise error
        delay = min(self.longest_delay, self.first_delay * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
        asked = error.after if isinstance(error, TransientError) else 0.0
        if cancel.wait(max(delay, min(asked, LONGEST_WAIT))):
            raise CancelledError

    def insist(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, once it does."""
        failures, never = 0, threading.Event()
        while True:
            try:
                return ask()
            except TransientError as error:
                failures += 1
                self.wait(failures, error, never)
