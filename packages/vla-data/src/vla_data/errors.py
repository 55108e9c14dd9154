"""Errors a person can act on.

Every error says where it happened, what was expected, what came, and what to do next. vla-cli maps
`exit_code` to the process's exit status once; libraries only raise.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_ENVIRONMENT = 4
EXIT_INTERRUPTED = 130


class VlaError(Exception):
    """Base of every error the suite raises on purpose.

    Args:
        message: one sentence, what went wrong.
        where: file, record, offset, option or stage it went wrong at.
        expected: what would have been right.
        got: what was there instead.
        next_step: the command or change that mends it.
    """

    exit_code = EXIT_FAILED

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.got = got
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.message]
        for label, value in (
            ("where", self.where),
            ("expected", self.expected),
            ("got", self.got),
            ("next", self.next_step),
        ):
            if value is not None:
                parts.append(f"  {label}: {value}")
        return "\n".join(parts)

    def to_dict(self) -> dict[str, str | int | None]:
        """The error as one JSON-ready mapping."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "where": self.where,
            "expected": self.expected,
            "got": self.got,
            "next": self.next_step,
            "exit_code": self.exit_code,
        }

    def __reduce__(self):  # keyword-only arguments survive a process boundary
        return (_rebuild, (type(self), self.message, self.__dict__))


def _rebuild(kind: type[VlaError], message: str, state: dict) -> VlaError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class ConfigError(VlaError):
    """A configuration value is unknown, of the wrong type or out of range."""

    exit_code = EXIT_USAGE


class UnknownNameError(ConfigError):
    """A task, data set, preset or key of that name does not exist.

    `matches` holds the nearest names, best first; `known` all there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str | None = None) -> None:
        names = sorted(set(known))
        self.known = tuple(names)
        self.matches = nearest_names(name, names)
        if self.matches:
            next_step = "did you mean " + " or ".join(repr(m) for m in self.matches) + "?"
        else:
            shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
            next_step = f"choose one of: {shown}" if names else f"no {kind} is defined here"
        super().__init__(f"unknown {kind} {name!r}", where=where, next_step=next_step)


class DataError(VlaError):
    """A file or record does not hold what its format promises."""

    exit_code = EXIT_DATA


class CheckpointError(DataError):
    """Weights, config or statistics of a checkpoint do not match its manifest."""


class SpecMismatchError(DataError):
    """Two sides disagree on what an action, a state or an observation means."""


class MissingDependencyError(VlaError):
    """A package, system library or asset is absent from this machine."""

    exit_code = EXIT_ENVIRONMENT


class SimError(VlaError):
    """A simulator could not be built, stepped or rendered."""


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The names closest to a mistyped one, best first; empty when nothing is close."""
    by_lower = {k.lower(): k for k in known}
    close = get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)
    starts = [k for k in by_lower if name and k.startswith(name.lower()) and k not in close]
    return [by_lower[k] for k in (close + starts)[:limit]]
