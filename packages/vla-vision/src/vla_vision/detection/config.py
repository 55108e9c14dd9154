"""How detectors are asked. Plain values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vla_data.errors import ConfigError


@dataclass(frozen=True)
class DetectOptions:
    """What to keep of what a network says, and how to run it.

    Args:
        score: least confidence of a detection.
        iou: of two boxes of one class that overlap more than this the better is kept, for networks that need
            it.
        max_detections: most detections of a frame; the most confident are kept.
        batch_size: frames in one call of the network.
        rectangular: cut the padding down to whole strides where the network takes any size; else pad to a
            square.
        threads: of the engine on a CPU; None leaves it to the engine.
        device: "auto" takes a CUDA device if torch has one; ONNX Runtime and OpenVINO run on the CPU.
        precision: "auto" lets OpenVINO compute in bfloat16 where the processor can; "f32" does not.

    Raises:
        ConfigError: a value is out of range.
    """

    score: float = 0.25
    iou: float = 0.7
    max_detections: int = 300
    batch_size: int = 8
    rectangular: bool = True
    threads: int | None = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "f32"] = "auto"

    def __post_init__(self) -> None:
        _require("score", self.score, 0 <= self.score <= 1, "a number in [0, 1]")
        _require("iou", self.iou, 0 < self.iou <= 1, "a number in (0, 1]")
        for name in ("max_detections", "batch_size"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        _require("threads", self.threads, self.threads is None or self.threads >= 1, "at least 1, or null")


def _require(name: str, got: object, ok: bool, expected: str) -> None:
    if not ok:
        raise ConfigError(
            "an option of the detector is out of range", where=name, expected=expected, got=repr(got)
        )
