"""A whole data set augmented, and a picture of what that looks like."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vla_data.augment.recipes import PRESETS, AugmentConfig, augmented, unmasked
from vla_data.errors import DataError
from vla_data.files import write_bytes
from vla_data.formats import open_episodes
from vla_data.images import encode
from vla_data.protocols import OnProgress, no_progress
from vla_data.rewriting import CopyConfig, first_readable, rewrite, skipped_summary
from vla_data.types import Episode
from vla_data.usable import Skipped, usable_episodes

TILE = 160  # height of a frame in the preview, pixels
GAP, LINE = 6, 18
PAPER, INK, FAINT = (250, 250, 249), (28, 30, 33), (103, 109, 118)
SHOWN = 4  # copies
MOMENTS = 2  # of each camera: what is drawn once an episode shows as the same in both


def augment_dataset(
    uri: str,
    out: Path,
    config: AugmentConfig | None = None,
    copying: CopyConfig | None = None,
    *,
    split: str = "train",
    preview: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Write every usable episode of a split with its augmented copies as RLDS below `out`.

    `preview` is a PNG of the first of them beside its copies, written first.

    Returns:
        directory, episodes, steps, bytes, copies (of each), skipped and its reasons.

    Raises:
        DataError: an episode cannot be used and `copying.skip_corrupt` is off, or none is left.
    """
    config, copying = config or PRESETS["default"](), copying or CopyConfig()
    skipped: list[Skipped] = []
    reader = open_episodes(uri, split)
    usable = usable_episodes(reader, skip_corrupt=copying.skip_corrupt, skipped=skipped)
    items = [(index, index) for index, _ in usable]
    if preview is not None:
        first, episode = first_readable(reader, [index for index, _ in items], copying.skip_corrupt)
        write_preview(preview, episode, config, first)
    change = partial(with_copies, config)
    written = rewrite(uri, split, out, items, change, copying, skipped=skipped, on_progress=on_progress)
    return {**written, "copies": config.copies, **skipped_summary(skipped)}


def with_copies(config: AugmentConfig, episode: Episode, index: int) -> Iterator[Episode]:
    """The episode, when it is kept, and its augmented copies."""
    if config.original:
        yield unmasked(episode, config)
    for copy in range(config.copies):
        yield augmented(episode, config, index, copy)


def write_preview(path: Path, episode: Episode, config: AugmentConfig, index: int = 0) -> None:
    """Write `draw_preview` as a PNG, atomically."""
    write_bytes(Path(path), encode(draw_preview(episode, config, index), "png"))


def draw_preview(
    episode: Episode, config: AugmentConfig, index: int = 0
) -> UInt8[np.ndarray, "height width 3"]:
    """The episode beside its first copies: a column each, two moments of every camera as rows.

    Raises:
        DataError: the episode has no camera.
    """
    if not episode.images or not len(episode):
        raise DataError(
            "nothing of an episode can be shown",
            where=f"episode {episode.id}",
            expected="a step and a camera",
        )
    copies = [augmented(episode, config, index, copy) for copy in range(min(SHOWN, config.copies))]
    columns = {"original": episode, **{f"copy {i}": made for i, made in enumerate(copies)}}
    return _draw(columns, _rows(episode, min(map(len, columns.values()))))


def _rows(episode: Episode, steps: int) -> list[tuple[str, int]]:
    """(camera, step): moments evenly apart, of every camera."""
    moments = np.unique(np.linspace(0, steps - 1, MOMENTS + 2)[1:-1].round().astype(int))
    return [(name, int(step)) for name in episode.images for step in moments]


def _draw(columns: dict[str, Episode], rows: list[tuple[str, int]]) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    tiles = [[_tile(e.images[name][step]) for e in columns.values()] for name, step in rows]
    wide = max(tile.width for row in tiles for tile in row)
    labels = 2 * GAP + round(max(font.getlength(f"{name} {step}") for name, step in rows))
    size = (labels + len(columns) * (wide + GAP), GAP + LINE + len(rows) * (TILE + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(columns):
        pen.text((labels + column * (wide + GAP), GAP), title, fill=INK, font=font)
    for row, (name, step) in enumerate(rows):
        top = GAP + LINE + row * (TILE + GAP)
        pen.text((GAP, top), name, fill=INK, font=font)
        pen.text((GAP, top + LINE), f"step {step}", fill=FAINT, font=font)
        for column, tile in enumerate(tiles[row]):
            sheet.paste(tile, (labels + column * (wide + GAP), top))
    return np.asarray(sheet)


def _tile(image: np.ndarray) -> Any:
    from PIL import Image

    height, width = image.shape[:2]
    method = Image.Resampling.NEAREST if height * 2 <= TILE else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((max(1, round(width * TILE / height)), TILE), method)
