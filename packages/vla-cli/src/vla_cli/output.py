"""What a command prints: data on standard output, hints on standard error, one JSON document with `--json`.

While a command runs, file descriptor 1 points at standard error, so that nothing a library, a driver or a
worker process prints can end up among the data; `write` alone reaches the real standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from vla_cli.main import colour_wanted

if TYPE_CHECKING:
    from rich.console import Console

    from vla_data.report import Block, Section

TURNED_ROWS = 3
GAP = 3  # characters between columns
WIDE = 200  # columns when nobody's terminal limits them: a table in a pipe is not to be folded

_stdout: TextIO | None = None


@contextmanager
def own_stdout() -> Iterator[None]:
    """Keep the real standard output for `write`; everything else goes to standard error."""
    global _stdout
    sys.stdout.flush()
    descriptor = _descriptor(sys.stdout)
    if descriptor != 1:  # captured, by a test or a caller
        _stdout = sys.stdout
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            _stdout = None
        return
    saved = os.dup(1)
    _stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)
    try:
        yield
        sys.stdout.flush()
        _stdout.flush()
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        _stdout = None


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def stdout() -> TextIO:
    """The stream that carries data."""
    return _stdout if _stdout is not None else sys.stdout


def console(stream: TextIO | None = None) -> Console:
    """A console for tables: plain and wide in a pipe, as wide as the window on a terminal."""
    from rich.console import Console

    stream = stream or stdout()
    width = None if stream.isatty() else WIDE
    colours = "auto" if colour_wanted(stream) else None
    return Console(file=stream, width=width, color_system=colours, highlight=False, markup=False, emoji=False)


def emit(value: Any, as_json: bool, show: Callable[[Console], None]) -> None:
    """Print a command's result: `value` as one JSON document, or drawn by `show`."""
    if as_json:
        write_json(value)
    else:
        show(console())


def write_json(value: Any) -> None:
    """One JSON document on standard output; a number JSON does not know (NaN, Inf) becomes null."""
    from vla_data.config import to_dict

    stream = stdout()
    stream.write(json.dumps(_finite(to_dict(value)), indent=2, default=_plain) + "\n")
    stream.flush()


def hint(text: str) -> None:
    """A remark for the person at the terminal, on standard error."""
    print(text, file=sys.stderr)


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, sets and paths as JSON knows them."""
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def print_table(to: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A plain table; a column of numbers is set flush right, few rows too wide for the window are turned."""
    from rich import box
    from rich.table import Table

    lines = [list(columns), *map(list, rows)]
    if 0 < len(rows) <= TURNED_ROWS and sum(_natural(lines)) + GAP * (len(columns) - 1) > to.width:
        lines = [list(line) for line in zip(*lines, strict=True)]
    widths = _fitted(_natural(lines), to.width - GAP * (len(lines[0]) - 1))
    style = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False}
    table = Table(title=title or None, title_justify="left", **style)
    for i, (head, width) in enumerate(zip(lines[0], widths, strict=True)):
        numbers = bool(rows) and all(_number(line[i]) for line in lines[1:])
        table.add_column(head, justify="right" if numbers else "left", overflow="fold", width=width)
    for line in lines[1:]:
        table.add_row(*line)
    to.print(table)
    to.print()


def _natural(lines: Sequence[Sequence[str]]) -> list[int]:
    """Characters each column would like to have."""
    return [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]


def _fitted(natural: Sequence[int], room: int) -> list[int]:
    """Widths that fit: the widest columns give way, the first one (what a row is about) last."""
    first = min(natural[0], room // 3)
    widths, limit = list(natural), max(natural)
    while limit > 1 and sum(widths) > room:
        limit -= 1
        widths = [max(first if i == 0 else 1, min(w, limit)) for i, w in enumerate(natural)]
    return widths


def print_pairs(to: Console, pairs: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        to.print(f"{name:<{width}}  {plain_value(value)}", soft_wrap=True)


def plain_value(value: Any) -> str:
    """A value of a summary in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {plain_value(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_value(v) for v in value)
    return str(value)


def print_sections(to: Console, sections: Sequence[Section]) -> None:
    """The sections of a page as text: tables, paragraphs and code; plots and pictures belong to the page."""
    for section in sections:
        to.print(section.title, style="bold")
        for block in section.blocks:
            _print_block(to, block)


def _print_block(to: Console, block: Block) -> None:
    from vla_data.report import Code, Table, Text

    if isinstance(block, Table):
        print_table(to, block.columns, block.rows, block.caption)
    elif isinstance(block, (Text, Code)):
        to.print(block.text, soft_wrap=isinstance(block, Code))
        to.print()


def _number(cell: str) -> bool:
    return bool(cell) and (cell[0].isdigit() or (cell[0] in "+-−." and len(cell) > 1) or cell in ("–", "—"))
