"""The YOLO layout: images/, labels/ and data.yaml, one text file an image, one line an object.

A line is the class and x y width height of the box, or the class and the corners of an outline, all as shares
of the image's sides. An image without objects has an empty file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_vision.labels.outlines import outline
from vla_vision.labels.pictures import write_picture
from vla_vision.labels.truth import FrameLabels
from vla_vision.types import Frame

SPLITS = ("train", "val")


class YoloWriter:
    """Writes one data set into an empty directory.

    Args:
        encoding: ending of the images, "jpg" or "png"; `quality` is for the first.
        outlines: outlines of masks instead of boxes.
    """

    def __init__(
        self, directory: Path, class_names: Sequence[str], encoding: str, quality: int, outlines: bool
    ) -> None:
        self._directory, self._names = directory, tuple(class_names)
        self._encoding, self._quality, self._outlines = encoding, quality, outlines
        for kind in ("images", "labels"):
            for split in SPLITS:
                (directory / kind / split).mkdir(parents=True)

    def add(self, name: str, split: str, image: Frame, labels: FrameLabels) -> None:
        """One image, `name` without an ending."""
        path = self._directory / "images" / split / f"{name}.{self._encoding}"
        write_picture(path, image, self._quality)
        text = "".join(self._line(labels, i, image.shape[:2]) for i in range(len(labels.ids)))
        (self._directory / "labels" / split / f"{name}.txt").write_text(text)

    def finish(self) -> None:
        """The file that makes it a data set. Without `path`, folders count from where it lies."""
        names = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(self._names))
        text = f"train: images/train\nval: images/val\nnames:\n{names}"
        (self._directory / "data.yaml").write_text(text)

    def _line(self, labels: FrameLabels, i: int, size: tuple[int, ...]) -> str:
        height, width = size
        objects = labels.objects
        if self._outlines:
            assert objects.masks is not None
            shares = (outline(objects.masks[i]) / [width, height]).ravel()
        else:
            x1, y1, x2, y2 = objects.boxes[i].astype(np.float64) / [width, height, width, height]
            shares = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
        return f"{objects.classes[i]} " + " ".join(f"{s:.6f}" for s in shares) + "\n"
