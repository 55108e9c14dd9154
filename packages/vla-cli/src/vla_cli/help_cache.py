"""The shipped help texts: one file per command path, written from the live app.

`python -m vla_cli.help_cache --write` brings them up to date; without `--write` it names those that are not
and exits 1. `vla_cli.main` prints them without importing anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from vla_cli.main import HELP_DIRECTORY
from vla_data.files import write_bytes


def live_texts() -> dict[str, str]:
    """File name → help text of every command and group, as the live app prints it."""
    from typer.main import get_command

    from vla_cli.app import app

    return dict(_walk(get_command(app), None, "vla"))


def _walk(command: Any, parent: Any, name: str) -> list[tuple[str, str]]:
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    file = context.command_path.replace(" ", ".") + ".txt"
    texts = [(file, context.get_help() + "\n")]
    for child_name, child in getattr(command, "commands", {}).items():
        texts += _walk(child, context, child_name)
    return texts


def stale(texts: dict[str, str], directory: Path) -> list[str]:
    """Names of files that are missing, out of date, or of no command any more."""
    present = {p.name: p.read_text(encoding="utf-8") for p in directory.glob("*.txt")}
    return sorted(n for n in texts.keys() | present.keys() if texts.get(n) != present.get(n))


def main(arguments: list[str]) -> int:
    """Write or check the help texts."""
    directory, texts = Path(HELP_DIRECTORY), live_texts()
    names = stale(texts, directory)
    for name in names if "--write" in arguments else ():
        if name in texts:
            write_bytes(directory / name, texts[name].encode())
        else:
            (directory / name).unlink()
    for name in names:
        sys.stderr.write(f"{name}\n")
    return 0 if "--write" in arguments or not names else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
