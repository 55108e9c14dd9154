"""Frames of any size into the canvas of a network, and boxes back. NumPy and OpenCV only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from vla_vision.types import Frame

Canvas = UInt8[np.ndarray, "rows columns 3"]

GREY = 114  # the padding that YOLO networks are trained with


@dataclass(frozen=True)
class Placement:
    """Where a frame of `height` × `width` pixels lies, scaled, in a `canvas` (height, width)."""

    height: int
    width: int
    scale: float
    left: int
    top: int
    canvas: tuple[int, int]

    def to_frame(self, boxes: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        """Boxes of the canvas as boxes of the frame; they may reach out of it."""
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return ((boxes - shift) / np.float32(self.scale)).astype(np.float32)


def canvas_of(height: int, width: int, size: int, stride: int, rectangular: bool) -> tuple[int, int]:
    """(height, width) of the canvas of a frame: the longer side `size`, the other padded to whole strides."""
    if not rectangular:
        return size, size
    scale = size / max(height, width)
    return tuple(max(stride, math.ceil(round(side * scale) / stride) * stride) for side in (height, width))  # type: ignore[return-value]


def place(image: Frame, canvas: tuple[int, int]) -> tuple[Canvas, Placement]:
    """The frame in the middle of a grey canvas, as large as it fits."""
    import cv2

    height, width = image.shape[:2]
    scale = min(canvas[0] / height, canvas[1] / width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    top, left = (canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2
    if inner != (height, width):
        image = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_LINEAR)
    placement = Placement(height, width, scale, left, top, canvas)
    if inner == canvas:
        return image, placement
    padded = np.full((*canvas, 3), GREY, np.uint8)
    padded[top : top + inner[0], left : left + inner[1]] = image
    return padded, placement


def to_network(canvases: list[Canvas]) -> Float32[np.ndarray, "n 3 height width"]:
    """A batch of canvases of one size as the network's input, in [0, 1]."""
    batch = np.stack(canvases).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(batch, np.float32) * np.float32(1 / 255)
