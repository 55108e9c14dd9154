"""The `vla` entry point: help and version from shipped text, everything else through the live app.

A help text costs one small file read; typer, rich and the libraries are imported only by a command that
runs. `vla_cli.help_cache` writes those texts and a test holds them equal to the live ones.
"""

from __future__ import annotations

import os
import sys

from vla_cli import __version__

HELP_DIRECTORY = os.path.join(os.path.dirname(__file__), "help")
PACKAGES = ("vla-data", "vla-vision", "vla-ts", "vla-model", "vla-cli")
EXIT_USAGE = 2
EXIT_PIPE_CLOSED = 141


def main(argv: list[str] | None = None) -> int:
    """Run `vla` with these arguments (the process's own by default); the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without UTF-8 shows "?" instead of failing
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = _dispatch(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader left early, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_PIPE_CLOSED


def _dispatch(args: list[str]) -> int:
    if "_VLA_COMPLETE" not in os.environ:
        if "--version" in args and set(args) <= {"--version", "--json"}:
            print(version_text("--json" in args))
            return 0
        if args and args[-1] in ("--help", "-h"):
            text = cached_help(args[:-1])
            if text is not None:
                print(emphasise(text, sys.stdout))
                return 0
        text = cached_help(args)
        if text is not None and "COMMAND [ARGS]" in text.partition("\n")[0]:  # a group alone is a question
            print(emphasise(text, sys.stderr), file=sys.stderr)
            return EXIT_USAGE
    from vla_cli.errors import run_live

    return run_live(args)


def cached_help(words: list[str]) -> str | None:
    """The shipped help text of a command path such as ["data", "inspect"]; None when there is none."""
    if not all(word.replace("-", "").isalnum() and word[0] != "-" for word in words if word) or "" in words:
        return None
    try:
        with open(os.path.join(HELP_DIRECTORY, ".".join(["vla", *words]) + ".txt"), encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except OSError:
        return None


def version_text(as_json: bool) -> str:
    """The version for people, or the versions of the five packages as JSON."""
    if not as_json:
        return f"vla {__version__}"
    import json
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return json.dumps(found)


def colour_wanted(stream: object) -> bool:
    """Whether escape codes belong on this stream: a terminal, and nobody said no."""
    isatty = getattr(stream, "isatty", None)
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return bool(isatty and isatty()) and not dumb


def emphasise(text: str, stream: object) -> str:
    """A help text with its headings in bold, on a terminal."""
    if not colour_wanted(stream):
        return text
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.startswith("Usage: "):
            lines[i] = f"\x1b[1mUsage:\x1b[0m {line[7:]}"
        elif line.endswith(":") and not line.startswith(" "):
            lines[i] = f"\x1b[1m{line}\x1b[0m"
    return "\n".join(lines)
