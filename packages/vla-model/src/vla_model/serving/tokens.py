"""Who may do what: bearer tokens and their scopes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict
from vla_data.errors import ConfigError
from vla_data.registry import lookup

Scope = Literal["read", "move", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "move", "admin")
SHORTEST = 16


@dataclass(frozen=True)
class Caller:
    """Somebody who may ask.

    Args:
        name: as the audit log has it.
        scopes: "read" (state, pictures, jobs; and stop), "move" (tasks, motions), "admin" (taking a stop
            back, jobs that go on alone).
        sha256: of the token, in hexadecimal.
    """

    name: str
    scopes: tuple[Scope, ...]
    sha256: str

    def __post_init__(self) -> None:
        if not self.scopes or not set(self.scopes) <= set(SCOPES) or len(self.sha256) != 64:
            raise ConfigError(
                "a token cannot be like this",
                where=self.name,
                expected=f"some of {', '.join(SCOPES)}, and 64 hexadecimal digits",
                got=f"{', '.join(self.scopes)}; {len(self.sha256)} digits",
            )


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def require_hard_to_guess(token: str, where: str) -> None:
    """Raise unless a token can keep anyone out.

    Raises:
        ConfigError: it is too short, or not ASCII.
    """
    if len(token) < SHORTEST or not token.isascii():
        raise ConfigError(
            "a token is too easily guessed",
            where=where,
            expected=f"at least {SHORTEST} ASCII characters",
            got=str(len(token)),
            next_step="leave it out, and one is made",
        )


def caller_of(name: str, token: str, scopes: Iterable[Scope]) -> Caller:
    """Who shows this token.

    Raises:
        ConfigError: it is too easily guessed.
    """
    require_hard_to_guess(token, name)
    return Caller(name, tuple(scopes), _digest(token))


def scopes_of(names: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes by name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    known: dict[str, Scope] = {scope: scope for scope in SCOPES}
    return tuple(lookup("scope", known, name) for name in names)


def new_callers() -> dict[str, Caller]:
    """An agent that reads and moves, and a person who may do all: token → caller."""
    told: dict[str, tuple[Scope, ...]] = {"agent": ("read", "move"), "admin": SCOPES}
    made = {new_token(): (name, scopes) for name, scopes in told.items()}
    return {token: caller_of(name, token, scopes) for token, (name, scopes) in made.items()}


@dataclass(frozen=True)
class _File:
    tokens: tuple[Caller, ...]


def read_callers(path: Path) -> tuple[Caller, ...]:
    """From a TOML file of `[[tokens]]` with name, scopes and sha256 (`printf %s TOKEN | sha256sum`).

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        callers = from_dict(_File, tomllib.loads(path.read_text()), where=str(path)).tokens
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "a list of tokens cannot be read", where=str(path), expected="[[tokens]] in TOML", got=str(error)
        ) from error
    if not callers or len({c.name for c in callers}) < len(callers):
        raise ConfigError("tokens need names of their own", where=str(path), got=f"{len(callers)} tokens")
    return callers


def find_caller(callers: Iterable[Caller], token: str) -> Caller | None:
    """Who shows this token; compared in constant time."""
    shown = _digest(token)
    found = [c for c in callers if hmac.compare_digest(c.sha256, shown)]
    return found[0] if found else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
