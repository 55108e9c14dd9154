"""An episode on one picture: a row a camera, frames evenly spaced in time, each with its step and second."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from vla_data.errors import DataError
from vla_data.files import write_bytes
from vla_data.images import encode
from vla_data.types import Episode

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FRAME = 176  # height of a frame on the sheet, pixels
GAP, LINE = 6, 18
PAPER, INK, FAINT = (250, 250, 249), (28, 30, 33), (103, 109, 118)


def write_sheet(episode: Episode, path: Path, columns: int = 8, title: str = "") -> None:
    """Write the contact sheet as a PNG, atomically."""
    write_bytes(path, encode(draw_sheet(episode, columns, title), "png"))


def draw_sheet(episode: Episode, columns: int = 8, title: str = "") -> UInt8[np.ndarray, "height width 3"]:
    """The contact sheet.

    Args:
        columns: frames of each camera; fewer when the episode is shorter.
        title: a first line, above the instruction.

    Raises:
        DataError: the episode has no step or no camera, or a frame cannot be decoded.
    """
    rows: dict[str, Any] = dict(episode.images.items())
    rows |= {f"{name} depth": _DepthFrames(np.asarray(depth)) for name, depth in episode.depth.items()}
    if not len(episode) or not rows:
        raise DataError(
            "nothing of an episode can be shown",
            where=f"episode {episode.id}",
            expected="at least one step and one camera",
            got=f"{len(episode)} steps, {len(rows)} cameras",
        )
    steps = np.unique(np.linspace(0, len(episode) - 1, min(columns, len(episode))).round().astype(int))
    return _draw(episode, rows, [int(s) for s in steps], [t for t in (title, episode.instruction) if t])


class _DepthFrames:
    """Depth as grey pictures by its inverse, so that a far background does not flatten what is near."""

    def __init__(self, depth: np.ndarray) -> None:
        self.depth = depth
        known = depth[np.isfinite(depth) & (depth > 0)]
        self.low, self.high = np.quantile(1 / known, [0.01, 0.99]) if known.size else (0.0, 1.0)

    def __getitem__(self, index: int) -> np.ndarray:
        metres = np.asarray(self.depth[index], np.float64)
        inverse = np.divide(1.0, metres, out=np.zeros_like(metres), where=np.isfinite(metres) & (metres > 0))
        grey = np.clip((inverse - self.low) / max(self.high - self.low, 1e-9), 0, 1)
        return np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2)


def _draw(episode: Episode, rows: dict[str, Any], steps: list[int], heading: list[str]) -> np.ndarray:
    from PIL import Image, ImageDraw

    tiles = {name: [_fit(frames[s]) for s in steps] for name, frames in rows.items()}
    wide = max(t.width for row in tiles.values() for t in row)
    top = GAP + LINE * len(heading) + LINE * (2 if episode.substeps else 1)
    labels = 2 * GAP + max(round(_font(12).getlength(name)) for name in tiles)
    size = (labels + len(steps) * (wide + GAP) + GAP, top + len(tiles) * (FRAME + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, text in enumerate(heading):
        _write(pen, GAP, GAP + i * LINE, text, size[0] - 2 * GAP, 14)
    for column, step in enumerate(steps):
        left, line = labels + column * (wide + GAP), GAP + LINE * len(heading)
        _write(pen, left, line, f"{step}: {episode.time[step]:.1f} s", wide, 12, FAINT)
        done = next((s.text for s in episode.substeps if s.start <= step < s.stop), "")
        _write(pen, left, line + LINE, done, wide, 12, FAINT)
        for row, pictures in enumerate(tiles.values()):
            sheet.paste(pictures[column], (left, top + row * (FRAME + GAP)))
    for row, name in enumerate(tiles):
        _write(pen, GAP, top + row * (FRAME + GAP), name, labels, 12)
    return np.asarray(sheet)


def _fit(image: np.ndarray) -> Any:
    from PIL import Image

    height, width = image.shape[:2]
    method = Image.Resampling.NEAREST if height * 2 <= FRAME else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((max(1, round(width * FRAME / height)), FRAME), method)


def _write(
    pen: ImageDraw, x: int, y: int, text: str, room: int, size: int, colour: tuple[int, int, int] = INK
) -> None:
    """One line, shortened where it would run past `room` pixels."""
    font, shown = _font(size), text
    while shown and pen.textlength(shown, font=font) > room:
        shown = shown[:-2] + "…" if len(shown) > 2 else ""
    pen.text((x, y), shown, fill=colour, font=font)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
