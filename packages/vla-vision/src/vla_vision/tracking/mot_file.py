"""Detections and tracks as MOTChallenge text: `frame,id,left,top,width,height,score,-1,-1,-1`, frames from 1.

Format: Dendorfer et al. 2021, arXiv:2010.07548.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_vision.types import Detections, Tracks

log = logging.getLogger(__name__)
COLUMNS = 7  # that must be there; further ones are not read
MAX_FRAME = 10_000_000


@dataclass(frozen=True)
class SequenceInfo:
    """What a MOTChallenge `seqinfo.ini` says; 0 where it says nothing."""

    name: str = ""
    frame_rate: float = 0.0
    frames: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class MotRows:
    """A MOT file, float64 [rows, 7] sorted by frame, and how many lines of it could not be read."""

    rows: np.ndarray
    skipped: int = 0
    _starts: dict[int, tuple[int, int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        frames = self.rows[:, 0].astype(int)
        edges = np.flatnonzero(np.diff(frames, prepend=-1, append=-1))
        for start, stop in pairwise(edges.tolist()):
            self._starts[int(frames[start])] = (start, stop)

    @property
    def frames(self) -> int:
        """Number of the last frame."""
        return int(self.rows[-1, 0]) if len(self.rows) else 0

    def ids(self, frame: int) -> np.ndarray:
        """int64 ids of the rows of a frame."""
        return self._of(frame)[:, 1].astype(np.int64)

    def detections(self, frame: int) -> Detections:
        """What is in a frame, all of class 0."""
        rows = self._of(frame)
        boxes = rows[:, 2:6].copy()
        boxes[:, 2:] += boxes[:, :2]
        return Detections(
            boxes.astype(np.float32), rows[:, 6].astype(np.float32), np.zeros(len(rows), np.int64)
        )

    def _of(self, frame: int) -> np.ndarray:
        start, stop = self._starts.get(frame, (0, 0))
        return self.rows[start:stop]


def read_mot(path: Path, *, skip_corrupt: bool = False) -> MotRows:
    """A MOT file.

    Args:
        skip_corrupt: count and leave out lines that cannot be read instead of raising.

    Raises:
        DataError: the file cannot be read, a line is not seven numbers or its frame is below 1.
    """
    rows, skipped = [], 0
    for number, line in _lines(path):
        row = _parse(line)
        if row is not None:
            rows.append(row)
        elif skip_corrupt:
            skipped += 1
        else:
            raise DataError(
                "a line of a MOT file cannot be read",
                where=f"{path}, line {number}",
                expected="frame,id,left,top,width,height,score as numbers, frame from 1",
                got=repr(line[:80]),
                next_step="mend the line, or leave such lines out and count them: --skip-corrupt",
            )
    if skipped:
        log.warning("left out %d lines of %s", skipped, path)
    table = np.array(rows, np.float64).reshape(-1, COLUMNS)
    return MotRows(table[np.argsort(table[:, 0], kind="stable")], skipped)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as handle:
            yield from ((i, line.strip()) for i, line in enumerate(handle, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "a MOT file cannot be read", where=str(path), expected="text", got=str(error)
        ) from error


def _parse(line: str) -> list[float] | None:
    """Seven numbers; only a box or score may be NaN or Inf, which the tracker counts."""
    parts = line.replace(" ", ",").split(",") if "," not in line else line.split(",")
    try:
        row = [float(p) for p in parts[:COLUMNS]]
    except ValueError:
        return None
    whole = len(row) == COLUMNS and row[0] == row[0] and 1 <= row[0] <= MAX_FRAME and row[0] == int(row[0])
    return row if whole and abs(row[1]) < 2**53 else None


def read_sequence_info(path: Path) -> SequenceInfo:
    """A `seqinfo.ini`.

    Raises:
        DataError: it is not one, or a number in it is none.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section: Mapping[str, str] = parser["Sequence"]
        return SequenceInfo(
            section.get("name", ""),
            float(section.get("framerate", "0")),
            int(section.get("seqlength", "0")),
            int(section.get("imwidth", "0")),
            int(section.get("imheight", "0")),
        )
    except (OSError, KeyError, ValueError, configparser.Error) as error:
        raise DataError(
            "a seqinfo.ini cannot be read",
            where=str(path),
            expected="a section [Sequence] with frameRate, seqLength, imWidth, imHeight",
            got=f"{type(error).__name__}: {error}",
        ) from error


def mot_lines(frame: int, tracks: Tracks) -> str:
    """The lines of one frame, each ended; empty without tracks."""
    sizes = tracks.boxes[:, 2:] - tracks.boxes[:, :2]
    return "".join(
        f"{frame},{i},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{score:.4f},-1,-1,-1\n"
        for i, (x, y), (w, h), score in zip(
            tracks.ids.tolist(),
            tracks.boxes[:, :2].tolist(),
            sizes.tolist(),
            tracks.scores.tolist(),
            strict=True,
        )
    )
