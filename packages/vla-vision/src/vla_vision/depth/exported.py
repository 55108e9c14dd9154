"""Depth from exported files: ONNX Runtime and OpenVINO. Nothing here needs torch."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vla_data.config import from_dict
from vla_data.errors import CheckpointError, ConfigError, MissingDependencyError
from vla_vision.depth.inference import BATCH, NetworkDepth
from vla_vision.depth.spec import Batch, DepthSpec

SPEC = "vla_depth"  # the metadata key under which a file carries its spec
INPUT, OUTPUT = "images", "depth"
Precision = Literal["f32", "bf16"]


def load_onnx(path: Path, *, threads: int = 1, batch_size: int = BATCH) -> NetworkDepth:
    """A depth network exported by `export_onnx`, run by ONNX Runtime on the CPU.

    Raises:
        MissingDependencyError: the extra `vla-vision[onnx]` is not installed.
        CheckpointError: the file is missing, damaged or not one of `export_onnx`.
    """
    ort = _require("onnxruntime", "vla-vision[onnx]", path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    _require_file(path)
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no base class
        raise _unreadable(path, str(error)) from error
    text = session.get_modelmeta().custom_metadata_map.get(SPEC)

    def run(batch: Batch) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {INPUT: batch})[0], np.float32)

    return NetworkDepth(run, _spec(path, text), batch_size)


def load_openvino(
    path: Path, *, threads: int = 1, precision: Precision = "f32", batch_size: int = BATCH
) -> NetworkDepth:
    """A depth network exported by `export_openvino`; `bf16` is about twice as fast where the CPU knows it.

    Raises:
        MissingDependencyError: the extra `vla-vision[openvino]` is not installed.
        CheckpointError: the file is missing, damaged or not one of `export_openvino`.
    """
    openvino = _require("openvino", "vla-vision[openvino]", path)
    _require_file(path)
    _require_file(path.with_suffix(".bin"))
    try:
        model = openvino.Core().read_model(str(path))
        text = model.get_rt_info(SPEC).astype(str) if model.has_rt_info(SPEC) else None
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        compiled = openvino.Core().compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise _unreadable(path, str(error)) from error
    request = compiled.create_infer_request()

    def run(batch: Batch) -> np.ndarray:
        return np.array(request.infer({0: batch})[0], np.float32)

    return NetworkDepth(run, _spec(path, text), batch_size)


def _spec(path: Path, text: str | None) -> DepthSpec:
    if text is None:
        raise _unreadable(path, "nothing in it says what its depth means")
    try:
        return from_dict(DepthSpec, json.loads(text), where=str(path))
    except (ConfigError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _require(name: str, extra: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} is not installed", where=str(path), got=str(error), next_step=f"install {extra}"
        ) from error


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(
            "an exported depth network is missing", where=str(path), expected="a file", got="no such file"
        )


def _unreadable(path: Path, got: str) -> CheckpointError:
    return CheckpointError(
        "an exported depth network cannot be read",
        where=str(path),
        expected="a whole file written by vla vision export-depth",
        got=got.splitlines()[0][:300] if got else "nothing",
        next_step="export it again",
    )
