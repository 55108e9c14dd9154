"""What was labelled on one picture, for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_vision.evenly import Evenly
from vla_vision.labels.pictures import write_picture
from vla_vision.labels.truth import FrameLabels
from vla_vision.tracking.drawing import TrackPainter
from vla_vision.types import Frame, Tracks

TILE = 288  # pixels, height of a frame on the sheet
GAP, LINE = 4, 20
COLUMNS, MOST = 4, 12
PAPER = 250


@dataclass
class Preview:
    """Frames evenly spaced over all it is shown."""

    _frames: Evenly[tuple[Frame, FrameLabels, str]] = field(default_factory=lambda: Evenly(MOST))

    def add(self, image: Frame, labels: FrameLabels, caption: str) -> None:
        """Another frame."""
        self._frames.add((image, labels, caption))

    def write(self, path: Path) -> None:
        """The sheet as a PNG, atomically.

        Raises:
            DataError: there was no frame.
        """
        shown = self._frames.picked()
        if not shown:
            raise DataError("there is no frame to show", where=str(path), expected="at least one", got="none")
        with atomic_path(path) as part:
            target = part.with_suffix(".png")
            try:
                write_picture(target, sheet([tile(*one) for one in shown]))
                target.replace(part)
            finally:
                target.unlink(missing_ok=True)


def tile(image: Frame, labels: FrameLabels, caption: str) -> UInt8[np.ndarray, "tall wide 3"]:
    """A frame, enlarged or reduced to `TILE`, with boxes, names and a line below it."""
    import cv2

    scale = TILE / image.shape[0]
    width = max(1, round(image.shape[1] * scale))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    large = np.asarray(cv2.resize(np.ascontiguousarray(image), (width, TILE), interpolation=how), np.uint8)
    objects, n = labels.objects, len(labels.ids)
    zeros = np.zeros(n, np.int64)
    boxes = (objects.boxes * np.float32(scale)).astype(np.float32)
    tracks = Tracks(
        labels.ids, boxes, objects.scores, objects.classes, zeros, zeros, np.zeros((n, 2), np.float32),
        objects.class_names,
    )  # fmt: skip
    drawn = TrackPainter(trail=1).draw(large, tracks)
    line = np.full((LINE, width, 3), PAPER, np.uint8)
    cv2.putText(line, caption, (2, LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([drawn, line])


def sheet(tiles: list[np.ndarray]) -> UInt8[np.ndarray, "height width 3"]:
    """The tiles in rows of `COLUMNS`."""
    columns = min(COLUMNS, len(tiles))
    width, height = max(t.shape[1] for t in tiles), tiles[0].shape[0]
    rows = -(-len(tiles) // columns)
    size = rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3
    paper = np.full(size, PAPER, np.uint8)
    for i, one in enumerate(tiles):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        paper[top : top + height, left : left + one.shape[1]] = one
    return paper
