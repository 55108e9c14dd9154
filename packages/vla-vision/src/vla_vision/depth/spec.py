"""What a depth network takes, what its numbers mean, and the way from frames to it and back. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError
from vla_vision.types import DepthMap, Frame

# Pixels of the shorter side that Depth Anything looks at: one core takes about 0.15, 0.35 and 1.4 s a frame.
SIZES: dict[str, int] = {"fast": 168, "balanced": 252, "full": 518}
Kind = Literal["metric", "relative"]
Batch = Float32[np.ndarray, "b 3 h w"]
FLAT = 2  # levels between the darkest and the brightest value of a frame that shows nothing


@dataclass(frozen=True)
class DepthSpec:
    """What a depth network takes and what its numbers mean; it travels with weights and exported files.

    Args:
        name: what the network is called.
        kind: `metric`: larger is farther; `relative`: larger is nearer.
        size: pixels of the shorter side of what it looks at.
        multiple: both sides are multiples of this.
        mean, std: of the colours in [0, 1], subtracted and divided by.
        shape: (height, width) where nothing else is taken, as by exported files; else None.
        canonical: its metres are for a focal length of one picture height; others come in afterwards.
        focal: focal length in picture heights where nobody tells it: that of the training cameras.
        smooth: frames are shrunk by averaging areas; else by cubic interpolation, as for Depth Anything.
    """

    name: str
    kind: Kind
    size: int
    multiple: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    shape: tuple[int, int] | None = None
    canonical: bool = False
    focal: float = 1.0
    smooth: bool = False

    def __post_init__(self) -> None:
        if self.size < self.multiple or self.multiple < 1 or not self.focal > 0:
            raise ConfigError(
                "a depth network cannot look at so few pixels",
                where=f"size of {self.name}",
                expected=f"at least {self.multiple} pixels a side, and a positive focal length",
                got=f"{self.size} pixels, focal length {self.focal}",
            )

    @property
    def meaning(self) -> str:
        """What the numbers of its depth maps mean, in words."""
        return f"{self.kind}: {DepthMap(np.zeros((0, 0), np.float32), self.kind).unit}"

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that frames of `height`×`width` are brought to: about their aspect."""
        if self.shape is not None:
            return self.shape
        scale = self.size / min(height, width)
        sides = (max(1, round(side * scale / self.multiple)) * self.multiple for side in (height, width))
        return next(sides), next(sides)


def prepare(frames: Sequence[Frame], spec: DepthSpec) -> Batch:
    """Frames of one size as the network takes them."""
    import cv2

    height, width = spec.input_shape(*frames[0].shape[:2])
    how = cv2.INTER_AREA if spec.smooth else cv2.INTER_CUBIC
    resized = [cv2.resize(np.ascontiguousarray(f), (width, height), interpolation=how) for f in frames]
    scaled = np.stack(resized).astype(np.float32) / 255
    normal = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def finish(
    raw: Float32[np.ndarray, "h w"], frame: Frame, spec: DepthSpec, focal: float | None = None
) -> DepthMap:
    """What the network said of a frame, at the frame's size and in its unit; zeros where nothing is shown.

    Args:
        focal: in pixels of the frame; None takes the spec's.
    """
    import cv2

    height, width = frame.shape[:2]
    if int(frame.max()) - int(frame.min()) <= FLAT:
        return DepthMap(np.zeros((height, width), np.float32), spec.kind)
    factor = 1.0
    if spec.canonical:
        factor = spec.focal if focal is None else focal / height
    values = cv2.resize(np.ascontiguousarray(raw), (width, height), interpolation=cv2.INTER_LINEAR)
    return DepthMap(np.asarray(values * np.float32(factor), np.float32), spec.kind)
