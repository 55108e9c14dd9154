"""What is seen, in plain arrays: detections, tracks, depth; and the protocols of what makes them.

Frames are RGB uint8 [height, width, 3]. Boxes are float32 [N, 4] as x1, y1, x2, y2 in pixels of that frame,
x to the right and y down, (0, 0) the upper left corner of the first pixel. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from vla_data.errors import DataError

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one frame.

    Args:
        boxes: float32 [N, 4], x1 y1 x2 y2 in pixels of the frame.
        scores: float32 [N], confidence in [0, 1].
        classes: int64 [N], indices into `class_names`.
        class_names: of the detector; empty where classes have no names.
        masks: bool [N, height, width] of the frame's size, or None.
        embeddings: float32 [N, E] appearance, any length; or None.

    Raises:
        DataError: arrays do not agree on N or are of a wrong shape.
    """

    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, "n"]
    classes: Int64[np.ndarray, "n"]
    class_names: tuple[str, ...] = ()
    masks: Bool[np.ndarray, "n height width"] | None = None
    embeddings: Float32[np.ndarray, "n e"] | None = None

    def __post_init__(self) -> None:
        _require_rows("Detections", self.boxes, ("scores", "classes", "masks", "embeddings"), self)

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls, class_names: tuple[str, ...] = ()) -> Detections:
        """No detection at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), class_names)

    def select(self, index: np.ndarray) -> Detections:
        """The detections that an integer or boolean index picks, in its order."""
        return Detections(
            self.boxes[index],
            self.scores[index],
            self.classes[index],
            self.class_names,
            None if self.masks is None else self.masks[index],
            None if self.embeddings is None else self.embeddings[index],
        )

    def with_embeddings(self, embeddings: Float32[np.ndarray, "n e"]) -> Detections:
        """The same detections with an appearance each."""
        return replace(self, embeddings=embeddings)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Objects with an identity over time, as they stand in one frame.

    Args:
        ids: int64 [N], from 1, never given twice by one tracker before its reset.
        boxes: float32 [N, 4], x1 y1 x2 y2 in pixels of the frame.
        scores: float32 [N], of the detection seen last.
        classes: int64 [N].
        ages: int64 [N], frames since the track began.
        detections: int64 [N], which of the frame's detections this is; -1 where the box is predicted.
        velocities: float32 [N, 2], motion of the box's centre in pixels a frame.
        class_names: of the detector.
    """

    ids: Int64[np.ndarray, "n"]
    boxes: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, "n"]
    classes: Int64[np.ndarray, "n"]
    ages: Int64[np.ndarray, "n"]
    detections: Int64[np.ndarray, "n"]
    velocities: Float32[np.ndarray, "n 2"]
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = ("ids", "scores", "classes", "ages", "detections", "velocities")
        _require_rows("Tracks", self.boxes, names, self)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, class_names: tuple[str, ...] = ()) -> Tracks:
        """No track at all."""
        none = np.zeros(0, np.int64)
        boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return cls(none, boxes, scores, none, none, none, np.zeros((0, 2), np.float32), class_names)


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Depth of one frame, float32 [height, width].

    `metric`: metres along the optical axis, larger is farther, 0 where nothing is known. `relative`: without
    unit, larger is nearer, right up to scale and shift of 1/depth.
    """

    values: Float32[np.ndarray, "height width"]
    kind: Literal["metric", "relative"]

    @property
    def unit(self) -> str:
        """Unit and direction in words."""
        return "m, larger is farther" if self.kind == "metric" else "no unit, larger is nearer"


@runtime_checkable
class Detector(Protocol):
    """Finds objects in frames; one `Detections` a frame, in order."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    def detect(self, images: Sequence[Frame]) -> list[Detections]: ...


@runtime_checkable
class DepthModel(Protocol):
    """Says how far everything is; one `DepthMap` of the frame's size a frame, in order.

    `focal` is the focal length in pixels of these frames where it is known; a model may have no use for it.
    """

    def infer(self, images: Sequence[Frame], focal: float | None = None) -> list[DepthMap]: ...


@runtime_checkable
class Embedder(Protocol):
    """Says how the things in boxes look: float32 [N, E], rows of length 1, similar things near in cosine."""

    def embed(self, image: Frame, boxes: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n e"]: ...


def _require_rows(kind: str, boxes: np.ndarray, names: Sequence[str], value: object) -> None:
    lengths = {name: len(getattr(value, name)) for name in names if getattr(value, name) is not None}
    if boxes.ndim != 2 or boxes.shape[1] != 4 or set(lengths.values()) - {len(boxes)}:
        raise DataError(
            "arrays of one frame do not belong together",
            where=kind,
            expected="boxes [N, 4] and N rows of everything else",
            got=f"boxes {list(boxes.shape)}, " + ", ".join(f"{k} {n}" for k, n in lengths.items()),
        )
