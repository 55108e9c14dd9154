"""From errors to messages and exit codes, in one place.

0 done · 1 failed · 2 usage, configuration or unknown name · 3 data or checkpoint · 4 environment or missing
dependency · 130 interrupted. With `--json` an error is the one document on standard output.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from typing import Any

from vla_cli.main import colour_wanted
from vla_data.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ConfigError,
    MissingDependencyError,
    UnknownNameError,
    VlaError,
)


class InterruptedRunError(VlaError):
    """The person at the terminal pressed Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


class DiskFullError(VlaError):
    """No space is left where something was being written."""

    exit_code = EXIT_ENVIRONMENT


def run_live(args: list[str]) -> int:
    """Run the live app; every error becomes a message and an exit code here, and only here."""
    options = args[: args.index("--")] if "--" in args else args
    debug = "--debug" in options or os.environ.get("VLA_DEBUG", "") not in ("", "0")
    as_json = "--json" in options
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return _call([a for i, a in enumerate(args) if not (a == "--debug" and i < len(options))])
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(translate(error), as_json)
    except KeyboardInterrupt:
        return _report(InterruptedRunError("interrupted"), as_json)


def _call(args: list[str]) -> int:
    from typer.main import get_command

    from vla_cli.app import app

    code = get_command(app).main(args, prog_name="vla", standalone_mode=False)
    if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C into this code
        raise KeyboardInterrupt
    return code if isinstance(code, int) else EXIT_OK


def _report(error: VlaError, as_json: bool) -> int:
    if as_json:
        from vla_cli.output import write_json

        write_json({"error": error.to_dict()})
    else:
        print(_message(error), file=sys.stderr)
    return error.exit_code


def _message(error: VlaError) -> str:
    if error.exit_code == EXIT_INTERRUPTED:
        return str(error)
    return f"\x1b[1;31merror:\x1b[0m {error}" if colour_wanted(sys.stderr) else f"error: {error}"


def translate(error: Exception) -> VlaError:
    """Any error as one that says what to do next."""
    if isinstance(error, VlaError):
        return error
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        return _usage(error)
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        return _file_error(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("vla_"):
        return MissingDependencyError(
            f"the Python package {error.name!r} is not installed", next_step="see what is missing: vla doctor"
        )
    return VlaError(
        f"unexpected {type(error).__name__}: {str(error) or 'no message'}",
        next_step="run the command again with --debug to see where it happened",
    )


def _usage(error: Any) -> VlaError:
    """What typer found wrong with the command line."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "vla"
    if context is not None and hasattr(error, "possibilities"):
        known = [o for p in context.command.get_params(context) for o in (*p.opts, *p.secondary_opts)]
        unknown = UnknownNameError("option", error.option_name, known, where=where)
        if not unknown.matches:
            unknown.next_step = f"see what there is: {where} --help"
        return unknown
    message = " ".join(error.format_message().split()).rstrip(".")
    return ConfigError(
        message[:1].lower() + message[1:], where=where, next_step=f"see what is expected: {where} --help"
    )


def _file_error(error: OSError) -> VlaError:
    """A file that cannot be read or written; `filename` is unknown when a handle was already open."""
    where = None if error.filename is None else str(error.filename)
    reason = error.strerror or "file error"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "no space is left on the disk",
            where=where,
            next_step="free some space, then run the same command again: finished work is kept",
        )
    return VlaError(
        reason[:1].lower() + reason[1:],
        where=where,
        got=type(error).__name__,
        next_step="check the path and its permissions; --debug shows where it happened",
    )
