"""Labelled images in the YOLO layout, and the batches a network learns from.

data.yaml          train and val: a folder of images, or a list of files; names: one a class
images/train/*     JPEG or PNG
labels/train/*.txt one line an object: class, then x y width height, or the corners of an outline, as shares
                   of the image's sides

Notable features:
- every object is an outline; a box is one with four corners: boxes and masks are transformed alike
- labels are checked as they are read: a class that has no name or a share outside [0, 1] names file and line
- images are scaled down once and kept in memory up to a limit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError
from vla_data.files import inside
from vla_vision.depth.sources import read_image
from vla_vision.types import Detections

IMAGES, LABELS = "images", "labels"
ENDINGS = (".jpg", ".jpeg", ".png")
SLACK = 0.01  # a share may leave [0, 1] by so much: writers round
LEAST_CORNERS = 3

Outline = Float32[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class Labels:
    """The objects of one image: classes, and outlines as shares of its sides."""

    classes: tuple[int, ...] = ()
    outlines: tuple[Outline, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """An image left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class YoloData:
    """A data set in the YOLO layout.

    Args:
        directory: that holds data.yaml.
        class_names: one a class.
        splits: name → images and their labels.
        skipped: what was left out.
    """

    directory: Path
    class_names: tuple[str, ...]
    splits: dict[str, tuple[tuple[Path, Labels], ...]]
    skipped: tuple[Skipped, ...] = field(default=())

    @property
    def has_outlines(self) -> bool:
        """Whether any object has more than a box."""
        every = (o for pairs in self.splits.values() for _, labels in pairs for o in labels.outlines)
        return any(not _is_box(o) for o in every)


def open_yolo_data(path: Path, *, skip_corrupt: bool = False) -> YoloData:
    """Read the layout and all labels; images are opened later.

    Args:
        path: the directory, its data.yaml, or the run of `vla vision labels` that made it.
        skip_corrupt: leave out images whose label file or picture is damaged, and say so in `skipped`.

    Raises:
        DataError: a file is missing or damaged, or a split holds no image.
    """
    from vla_vision.detection.yolo import read_yaml

    file = find_yolo_data(path)
    if file is None:
        raise DataError(
            "not a data set in the YOLO layout",
            where=str(path),
            expected="data.yaml beside images/ and labels/",
            next_step="make one from simulated episodes: vla vision labels --help",
        )
    said = read_yaml(file)
    said = said if isinstance(said, dict) else {}
    names = _class_names(said, file)
    skipped: list[Skipped] = []
    splits = {}
    for split in ("train", "val"):
        pictures = _pictures(file, said.get(split), split)
        splits[split] = tuple(_labelled(pictures, len(names), skip_corrupt, skipped))
    return YoloData(file.parent, names, splits, tuple(skipped))


def find_yolo_data(path: Path) -> Path | None:
    """The data.yaml that `path` stands for; None where there is none."""
    places = [path / "data.yaml", path / "yolo" / "data.yaml"] if path.is_dir() else [path]
    return next((p for p in places if p.is_file() and p.suffix in (".yaml", ".yml")), None)


def read_labels(path: Path, classes: int) -> Labels:
    """The labels of one file; a missing or empty file says that nothing is there.

    Raises:
        DataError: a line is malformed; the message names file and line.
    """
    if not path.is_file():
        return Labels()
    kinds, outlines = [], []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line.strip():
            kind, outline = _parse(line.split(), classes, f"{path}:{number}")
            kinds.append(kind)
            outlines.append(outline)
    return Labels(tuple(kinds), tuple(outlines))


def truth_of(labels: Labels, size: tuple[int, int], class_names: tuple[str, ...]) -> Detections:
    """Labels as detections of a frame of `size` (height, width)."""
    boxes = np.array([bounds(o) for o in labels.outlines], np.float32).reshape(-1, 4)
    boxes = (boxes * np.array([size[1], size[0]] * 2)).astype(np.float32)
    return Detections(boxes, np.ones(len(boxes), np.float32), np.array(labels.classes, np.int64), class_names)


def bounds(outline: Outline) -> Float32[np.ndarray, "4"]:
    """x1 y1 x2 y2 around an outline."""
    return np.concatenate([outline.min(axis=0), outline.max(axis=0)]).astype(np.float32)


def _is_box(outline: Outline) -> bool:
    return (
        len(outline) == 4 and len(set(outline[:, 0].tolist())) == 2 and len(set(outline[:, 1].tolist())) == 2
    )


def _parse(cells: Sequence[str], classes: int, where: str) -> tuple[int, Outline]:
    try:
        numbers = [float(c) for c in cells]
    except ValueError:
        numbers = []
    values = np.array(numbers[1:], np.float32)
    sound = len(values) == 4 or (len(values) >= 2 * LEAST_CORNERS and len(values) % 2 == 0)
    sound = sound and bool(np.isfinite(values).all()) and values.min() >= -SLACK and values.max() <= 1 + SLACK
    if not sound or numbers[0] != int(numbers[0]) or not 0 <= numbers[0] < classes:
        raise DataError(
            "a label cannot be read",
            where=where,
            expected=f"a class below {classes}, then x y width height or at least 3 corners, all in [0, 1]",
            got=" ".join(cells)[:80],
            next_step="mend the file, or leave such images out: --skip-corrupt",
        )
    if len(values) == 4:
        x, y, w, h = values
        x1, y1, x2, y2 = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        outline = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    else:
        outline = values.reshape(-1, 2)
    return int(numbers[0]), np.clip(outline, 0, 1)


def _class_names(said: dict[str, Any], file: Path) -> tuple[str, ...]:
    names = said.get("names")
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(
            "a data set names no classes", where=str(file), expected="names: [a, b, …]", got=repr(names)[:80]
        )
    return tuple(map(str, names))


def _pictures(file: Path, said: Any, split: str) -> list[Path]:
    """The images of a split, sorted."""
    if not isinstance(said, str):
        raise DataError(
            "a data set lacks a split", where=str(file), expected=f"{split}: a folder", got=repr(said)[:80]
        )
    root = file.parent
    if said.startswith("../") and not (root / said).exists():
        said = said[3:]  # some writers count from a folder that is not there
    place = inside(root, said, file)
    if place.is_dir():
        found = sorted(p for p in place.iterdir() if p.suffix.lower() in ENDINGS)
    else:
        lines = place.read_text().split("\n") if place.is_file() else []
        named = [inside(root, line.strip().removeprefix("./"), place) for line in lines if line.strip()]
        found = [p for p in named if p.is_file()] if len(named) == sum(p.is_file() for p in named) else []
    if not found:
        raise DataError(
            "a split holds no image", where=f"{file}: {split}", expected="JPEG or PNG files", got=str(place)
        )
    return found


def _labelled(
    pictures: Sequence[Path], classes: int, skip_corrupt: bool, skipped: list[Skipped]
) -> list[tuple[Path, Labels]]:
    found = []
    for path in pictures:
        try:
            labels = read_labels(label_path(path), classes)
            if skip_corrupt:
                read_image(path)
        except DataError as error:
            if not skip_corrupt:
                raise
            skipped.append(Skipped(str(path), error.message))
            continue
        found.append((path, labels))
    if not found:
        raise DataError(
            "no image of a split can be used", where=str(pictures[0].parent), got=f"{len(skipped)} damaged"
        )
    return found


def label_path(picture: Path) -> Path:
    """…/images/a/b.png → …/labels/a/b.txt: the last folder called images counts."""
    parts = list(picture.with_suffix(".txt").parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == IMAGES]
    if places:
        parts[places[-1]] = LABELS
    return Path(*parts)
