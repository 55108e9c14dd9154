"""Typer's group and command, with the nearest names for a mistyped one and standard output kept clean."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from vla_cli.output import own_stdout
from vla_data.errors import UnknownNameError, nearest_names

HELP_WIDTH = 100
CONTEXT = {"help_option_names": ["-h", "--help"], "terminal_width": HELP_WIDTH}


class _PlainHelp:
    """A help option whose default needs no conversion: None, as typer has it, imports pydantic."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.default = False
        return option


class Command(_PlainHelp, TyperCommand):
    """A command whose libraries cannot write to standard output: that stream carries data alone."""

    def invoke(self, ctx: Any) -> Any:
        with own_stdout():
            return super().invoke(ctx)


class Group(_PlainHelp, TyperGroup):
    """A group that names the nearest command, also one of a neighbouring group."""

    command_class = Command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = ctx.resilient_parsing or args[0].startswith("-") or args[0] in self.commands
        if known:
            return super().resolve_command(ctx, args)
        raise UnknownNameError(
            "command", args[0], self._candidates(ctx, args[0]), where=ctx.command_path
        ) from None

    def _candidates(self, ctx: Any, name: str) -> list[str]:
        """Names to choose from: the group's own, or where none is near, full paths that end so."""
        if nearest_names(name, self.commands):
            return list(self.commands)
        root = ctx.find_root()
        paths = [
            f"{root.info_name} {group.name} {command}"
            for group in root.command.commands.values()
            if isinstance(group, TyperGroup)
            for command in group.commands
            if nearest_names(name, [command])
        ]
        return paths or list(self.commands)


def example(command: str) -> str:
    """The end of a help text: one command that works."""
    return f"Example: {command}"


def make_group(help_text: str) -> typer.Typer:
    """An empty group of commands."""
    group = typer.Typer(
        cls=Group, context_settings=CONTEXT, no_args_is_help=True, rich_markup_mode=None, help=help_text
    )
    group.callback()(_nothing)  # keeps a group of one command a group
    return group


def _nothing() -> None:
    return None
