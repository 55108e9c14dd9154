"""Depth from any network behind one class, whatever runs it: torch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError
from vla_vision.depth.spec import Batch, DepthSpec, finish, prepare
from vla_vision.types import DepthMap

BATCH = 8
Run = Callable[[Batch], Float32[np.ndarray, "b h w"]]


@dataclass(frozen=True, eq=False)
class NetworkDepth:
    """A `DepthModel` around a network.

    Args:
        run: the network, float32 [B, 3, h, w] → [B, h, w], as `spec` says.
        spec: what it takes and means.
        batch_size: frames looked at together.
        module: the torch module behind `run`, where it is one; what `export` writes.
    """

    run: Run
    spec: DepthSpec
    batch_size: int = BATCH
    module: object | None = None

    def infer(self, images: Sequence[np.ndarray], focal: float | None = None) -> list[DepthMap]:
        """Depth of each frame, at its size; a frame of a single colour shows nothing: its depth is 0.

        Args:
            images: uint8 RGB [height, width, 3]; sizes may differ.
            focal: focal length in pixels of these frames, for a network that makes use of it
                (`spec.canonical`); None stands for that of the cameras it was trained with.

        Raises:
            DataError: something is not a frame, or the network says what is not finite.
        """
        for image in images:
            _require_frame(image)
        return [depth for batch in self._batches(images) for depth in self._infer_batch(batch, focal)]

    def _batches(self, images: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for _, alike in groupby(images, key=lambda image: image.shape):
            frames = list(alike)
            for start in range(0, len(frames), self.batch_size):
                yield frames[start : start + self.batch_size]

    def _infer_batch(self, frames: list[np.ndarray], focal: float | None) -> Iterator[DepthMap]:
        raw = self.run(prepare(frames, self.spec))
        if not np.isfinite(raw).all():
            raise DataError(
                "a depth network gave NaN or Inf",
                where=self.spec.name,
                expected="finite numbers",
                next_step="check the weights; with bf16 or fp16, run it in float32",
            )
        yield from (finish(r, f, self.spec, focal) for r, f in zip(raw, frames, strict=True))


def _require_frame(image: np.ndarray) -> None:
    right = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not right or 0 in image.shape:
        raise DataError(
            "this is not a frame",
            where="infer",
            expected="uint8 [height, width, 3], RGB",
            got=f"{image.dtype} {list(image.shape)}",
        )
