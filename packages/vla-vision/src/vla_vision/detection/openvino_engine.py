"""Exported networks run by OpenVINO: no torch, no ultralytics. Needs `vla-vision[openvino]`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import CheckpointError, MissingDependencyError
from vla_vision.detection.checkpoint import FILES, DetectorRecord
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.network import NetworkDetector
from vla_vision.detection.onnx_engine import spec_of

SHAPES_KEPT = 8  # a compiled network for each of so many (batch, height, width)


def open_openvino(
    directory: Path, record: DetectorRecord, options: DetectOptions | None = None
) -> NetworkDetector:
    """The detector of a directory of `vla vision export --to openvino`.

    The network is compiled anew for every size of batch and canvas, since fixed shapes run fastest; the
    latest few are kept.

    Raises:
        CheckpointError: the files are damaged.
        MissingDependencyError: OpenVINO is not installed.
    """
    options = options or DetectOptions()
    file = directory / FILES["openvino"]
    core = import_openvino().Core()
    model = _read(core, file)
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if options.threads:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    if options.precision == "f32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"

    @lru_cache(maxsize=SHAPES_KEPT)
    def compiled(shape: tuple[int, ...]) -> Any:
        model.reshape(list(shape))
        return core.compile_model(model, "CPU", settings)

    def forward(images: np.ndarray) -> list[np.ndarray]:
        network = compiled(images.shape)
        found = network(images)
        return [np.asarray(found[port], np.float32) for port in network.outputs]

    return NetworkDetector(forward, spec_of(record), options)


def import_openvino() -> Any:
    """The package. Raises MissingDependencyError when it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError(
            "running an OpenVINO detector needs OpenVINO",
            expected="the extra vla-vision[openvino]",
            got=str(error),
            next_step='pip install "vla-vision[openvino]"',
        ) from error
    return openvino


def _read(core: Any, file: Path) -> Any:
    try:
        return core.read_model(str(file))
    except RuntimeError as error:
        raise CheckpointError(
            "an OpenVINO network cannot be used",
            where=str(file),
            expected="a whole model.xml beside its model.bin",
            got=str(error).strip().splitlines()[-1][:200],
            next_step="export it again: vla vision export CKPT --to openvino --out DIR",
        ) from error
