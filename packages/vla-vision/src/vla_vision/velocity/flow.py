"""Dense optical flow: where every pixel went, in pixels a frame or a second.

By OpenCV's DIS (Kroeger et al. 2016, arXiv:1603.03590), which needs no weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, DataError
from vla_vision.types import Frame

Quality = Literal["ultrafast", "fast", "medium"]
Flow = Float32[np.ndarray, "height width 2"]
SMALLEST = 16  # pixels; the coarsest level of DIS needs some


@dataclass(frozen=True)
class FlowConfig:
    """How flow is computed.

    Args:
        quality: of DIS; one core takes about 1, 2 and 7 ms for 320×240.
        width: frames are scaled down to this many pixels in width first; 0 keeps them.
    """

    quality: Quality = "fast"
    width: int = 0


PRESETS: dict[str, Callable[[], FlowConfig]] = {
    "default": FlowConfig,
    "realtime": lambda: FlowConfig("ultrafast", 320),
    "precise": lambda: FlowConfig("medium"),
}


class DenseFlow:
    """Flow from each frame of a video to the next."""

    def __init__(self, config: FlowConfig | None = None) -> None:
        import cv2

        self.config = config or FlowConfig()
        presets = {
            "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
            "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
            "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
        }
        self._dis = cv2.DISOpticalFlow.create(presets[self.config.quality])
        self._last: np.ndarray | None = None
        self._shape: tuple[int, ...] | None = None

    def reset(self) -> None:
        """Forget the last frame."""
        self._last = self._shape = None

    def update(self, image: Frame) -> Flow | None:
        """Pixels that each pixel of the last frame moved by, x and y; None for the first frame.

        Raises:
            DataError: the frame is of another size than the last, or too small.
        """
        import cv2

        self._require_size(image)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = grey.shape
        scale = min(1.0, self.config.width / width) if self.config.width else 1.0
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        before, self._last = self._last, grey
        if before is None:
            return None
        flow = self._dis.calc(before, grey, None)  # type: ignore[call-overload]
        if scale < 1:
            factor = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * factor
        return np.asarray(flow, np.float32)

    def _require_size(self, image: Frame) -> None:
        if self._shape not in (None, image.shape) or min(image.shape[:2]) < SMALLEST:
            raise DataError(
                "the size of a frame does not allow for flow",
                where="optical flow",
                expected=f"{self._shape}" if self._shape else f"at least {SMALLEST} pixels a side",
                got=str(image.shape),
                next_step="scale all frames to one size, or reset where another video begins",
            )
        self._shape = image.shape


def optical_flow(before: Frame, after: Frame, config: FlowConfig | None = None) -> Flow:
    """Pixels a frame from `before` to `after`, float32 [height, width, 2], x to the right, y down."""
    engine = DenseFlow(config)
    engine.update(before)
    flow = engine.update(after)
    assert flow is not None
    return flow


def per_second(flow: np.ndarray, seconds: float) -> np.ndarray:
    """Pixels a frame → pixels a second, for frames `seconds` apart; also for the velocities of tracks.

    Raises:
        ConfigError: the time between the frames is not positive.
    """
    if not seconds > 0:
        raise ConfigError(
            "time must go on between two frames", where="seconds", expected="more than 0", got=f"{seconds:g}"
        )
    return (flow / np.float32(seconds)).astype(np.float32)


def flow_in_boxes(
    flow: Flow, boxes: Float32[np.ndarray, "n 4"], inner: float = 0.6
) -> Float32[np.ndarray, "n 2"]:
    """Median flow within the inner share of each box, in the flow's unit; NaN where a box has no pixel."""
    found = np.full((len(boxes), 2), np.nan, np.float32)
    for i, (rows, columns) in enumerate(inner_slices(boxes, flow.shape[:2], inner)):
        part = flow[rows, columns].reshape(-1, 2)
        if len(part):
            found[i] = np.median(part, axis=0)
    return found


def inner_slices(
    boxes: Float32[np.ndarray, "n 4"], size: tuple[int, ...], inner: float
) -> list[tuple[slice, slice]]:
    """Rows and columns of the inner share of each box, at least one pixel where the box lies in the frame."""
    boxes = np.nan_to_num(boxes).astype(np.float64)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * inner
    low = np.floor(centre - half).astype(np.int64)
    high = np.maximum(np.ceil(centre + half).astype(np.int64), low + 1)
    limits = np.array([size[1], size[0]])
    low, high = low.clip(0, limits), high.clip(0, limits)
    return [(slice(y1, y2), slice(x1, x2)) for (x1, y1), (x2, y2) in zip(low, high, strict=True)]
