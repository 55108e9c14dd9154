"""Running `vla` inside the test's process, as a person or a script would call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from vla_cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def vla(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def command_paths() -> list[list[str]]:
    """Words of every command that does something, such as ["data", "inspect"]."""
    from typer.main import get_command

    from vla_cli.app import app

    def walk(command: Any, words: list[str]) -> list[list[str]]:
        if not hasattr(command, "commands"):
            return [words]
        return [path for name, child in command.commands.items() for path in walk(child, [*words, name])]

    return walk(get_command(app), [])
