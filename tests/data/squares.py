"""A source of items for the tests of workers, in a module that imports next to nothing."""

from __future__ import annotations

import os

from vla_data.errors import DataError


class Squares:
    """A source that may fail or die at an index."""

    def __init__(self, bad: int = -1, fatal: int = -1, odd: int = -1) -> None:
        self.bad, self.fatal, self.odd = bad, fatal, odd

    def __getitem__(self, index: int) -> tuple[int, int]:
        if index == self.bad:
            raise DataError("a record is damaged", where=f"item {index}")
        if index == self.odd:
            raise ZeroDivisionError("by zero")
        if index == self.fatal:
            os._exit(9)
        return index * index, os.getpid()
