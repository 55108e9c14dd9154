"""One self-contained HTML page from sections of plain blocks; the suite's only report writer.

A stage leaves its sections as `sections.json` beside its outputs, media by relative path; `write_page`
gathers sections into one file that opens anywhere: no script, no network, light and dark, videos and
pictures embedded. Plots are inline SVG from `vla_data.charts`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vla_data.charts import BarChart, Histogram, LineChart, RowChart, render_chart
from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import read_json, write_bytes, write_json

SECTIONS = "sections.json"
UNIT_LETTERS = 8  # a number may carry a unit or a word; a sentence that begins with one is no number
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class Code:
    """Preformatted text: a tree, a command, a log."""

    text: str
    kind: Literal["code"] = "code"


@dataclass(frozen=True)
class Table:
    """Rows under columns; a cell that looks like a number is set flush right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), (
                f"a row of {len(row)} cells under {len(self.columns)} columns"
            )


@dataclass(frozen=True)
class Media:
    """A picture or a video, by path relative to the stage's directory (absolute while being built)."""

    path: str
    caption: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures and videos side by side, each `width` pixels wide."""

    items: tuple[Media, ...]
    width: int = 240
    kind: Literal["gallery"] = "gallery"


Block = Text | Code | Table | Gallery | LineChart | BarChart | RowChart | Histogram


@dataclass(frozen=True)
class Section:
    """A titled part of a page."""

    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class _Sections:
    sections: tuple[Section, ...]


def save_sections(directory: Path, sections: Sequence[Section]) -> None:
    """Write a stage's sections as `sections.json`."""
    write_json(directory / SECTIONS, [to_dict(s) for s in sections])


def load_sections(directory: Path) -> list[Section]:
    """A stage's sections, media paths made absolute; empty when it left none."""
    path = directory / SECTIONS
    if not path.exists():
        return []
    try:
        sections = list(from_dict(_Sections, {"sections": read_json(path)}, where=str(path)).sections)
    except ConfigError as error:
        raise DataError("the sections of a stage cannot be read", where=str(path), got=str(error)) from error
    return [replace(s, blocks=tuple(_absolute(b, directory) for b in s.blocks)) for s in sections]


def write_page(path: Path, title: str, sections: Sequence[Section], subtitle: str = "") -> None:
    """Write one self-contained HTML page, atomically.

    Raises:
        DataError: a picture or video is missing or of a type browsers do not show.
    """
    style = Path(__file__).with_suffix(".css").read_text()
    links = "".join(f'<a href="#s{i}">{_escape(s.title)}</a>' for i, s in enumerate(sections))
    body = "".join(
        f'<section id="s{i}"><h2>{_escape(s.title)}</h2>{"".join(map(_block, s.blocks))}</section>'
        for i, s in enumerate(sections)
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_escape(title)}</title><style>{style}</style></head><body><header><h1>{_escape(title)}</h1>"
        f"<p>{_escape(subtitle)}</p><nav>{links}</nav></header><main>{body}</main></body></html>\n"
    )
    write_bytes(path, page.encode())


def _absolute(block: Block, directory: Path) -> Block:
    if not isinstance(block, Gallery):
        return block
    root = directory.resolve()
    items = []
    for item in block.items:
        path = (root / item.path).resolve()
        if not path.is_relative_to(root):
            raise DataError("a section names media outside its directory", where=item.path)
        items.append(replace(item, path=str(path)))
    return replace(block, items=tuple(items))


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{_escape(block.text)}</p>"
    if isinstance(block, Code):
        return f"<pre>{_escape(block.text)}</pre>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Gallery):
        return f'<div class="gallery">{"".join(_media(m, block.width) for m in block.items)}</div>'
    return f"<figure>{render_chart(block)}</figure>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{_escape(c)}</th>" for c in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td{_align(c)}>{_escape(c)}</td>" for c in row) + "</tr>" for row in table.rows
    )
    caption = f"<caption>{_escape(table.caption)}</caption>" if table.caption else ""
    body = f"{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def _align(cell: str) -> str:
    numeric = bool(cell) and (cell[0].isdigit() or cell[0] in "+-−–.")
    return ' class="n"' if numeric and sum(c.isalpha() for c in cell) <= UNIT_LETTERS else ""


def _media(media: Media, width: int) -> str:
    path = Path(media.path)
    kind = MEDIA_TYPES.get(path.suffix)
    if kind is None or not path.is_file():
        raise DataError(
            "a picture or video of a page cannot be shown",
            where=str(path),
            expected=f"an existing file of one of: {', '.join(MEDIA_TYPES)}",
        )
    data = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    caption = _escape(media.caption)
    if kind.startswith("video"):
        shown = f'<video src="{data}" width="{width}" controls muted loop playsinline preload="auto"></video>'
    else:
        shown = f'<img src="{data}" width="{width}" alt="{caption}">'
    return f'<figure style="width:{width}px">{shown}<figcaption>{caption}</figcaption></figure>'
