"""One detector over any engine: frames in, a network's numbers read as detections out. No torch.

torch, ONNX Runtime and OpenVINO differ only in the function that turns a batch into arrays; what comes before
and after is here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from vla_data.errors import DataError
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import Layout, decode
from vla_vision.detection.letterbox import canvas_of, place, to_network
from vla_vision.types import Detections

AnySize = UInt8[np.ndarray, "_ _ 3"]  # of a list whose frames may differ
Forward = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True)
class NetworkSpec:
    """What has to be known of a network to use it.

    Args:
        class_names: one a class.
        image_size: longer side of the canvas in pixels.
        layout: of its first output; a second output holds mask prototypes.
        canvas: (height, width) where the network takes no other, else None.
        batch: frames a call where the network takes no other number, else None.
        stride: sides of the canvas are multiples of it.
    """

    class_names: tuple[str, ...]
    image_size: int
    layout: Layout
    canvas: tuple[int, int] | None = None
    batch: int | None = None
    stride: int = 32


class NetworkDetector:
    """A `Detector` of the YOLO family.

    Args:
        forward: float32 [N, 3, height, width] in [0, 1] → the network's outputs.
        spec: of the network.
        options: thresholds and limits.
    """

    def __init__(self, forward: Forward, spec: NetworkSpec, options: DetectOptions | None = None) -> None:
        self._forward, self.spec, self.options = forward, spec, options or DetectOptions()

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.spec.class_names

    @property
    def input_size(self) -> int:
        """Longer side of the canvas that frames are scaled to, in pixels."""
        return self.spec.image_size

    def detect(self, images: Sequence[AnySize]) -> list[Detections]:
        """One `Detections` a frame, in order; frames may differ in size.

        Raises:
            DataError: an image has no pixels, or is not uint8 [height, width, 3].
        """
        require_frames(images)
        return [found for batch in self._batches(images) for found in self._run(batch)]

    def _canvas(self, image: AnySize) -> tuple[int, int]:
        if self.spec.canvas is not None:
            return self.spec.canvas
        height, width = image.shape[:2]
        return canvas_of(
            height, width, self.spec.image_size, self.spec.stride, rectangular=self.options.rectangular
        )

    def _batches(self, images: Sequence[AnySize]) -> Iterator[list[AnySize]]:
        """Neighbours that share a canvas, at most a batch of them."""
        most = self.spec.batch or self.options.batch_size
        batch: list[AnySize] = []
        for image in images:
            if batch and (len(batch) == most or self._canvas(image) != self._canvas(batch[0])):
                yield batch
                batch = []
            batch.append(image)
        if batch:
            yield batch

    def _run(self, images: list[AnySize]) -> list[Detections]:
        placed = [place(image, self._canvas(image)) for image in images]
        tensor = to_network([canvas for canvas, _ in placed])
        missing = (self.spec.batch or len(images)) - len(images)
        if missing:  # a network of fixed batch gets black frames for the rest
            tensor = np.concatenate([tensor, np.zeros((missing, *tensor.shape[1:]), np.float32)])
        outputs = self._forward(tensor)
        prototypes = outputs[1] if self.spec.layout.masks and len(outputs) > 1 else None
        return [
            decode(
                outputs[0][i],
                None if prototypes is None else prototypes[i],
                self.spec.layout,
                placement,
                self.options,
                self.class_names,
            )
            for i, (_, placement) in enumerate(placed)
        ]


def require_frames(images: Sequence[np.ndarray]) -> None:
    """Raise DataError unless every image is uint8 [height, width, 3] with at least one pixel."""
    for i, image in enumerate(images):
        shape = getattr(image, "shape", ())
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or image.dtype != np.uint8:
            raise DataError(
                "an image cannot be looked at",
                where=f"image {i}",
                expected="RGB uint8 [height, width, 3], at least one pixel",
                got=f"{getattr(image, 'dtype', type(image).__name__)} {list(shape)}",
            )
