"""Exported networks run by ONNX Runtime: no torch, no ultralytics. Needs `vla-vision[onnx]`.

Reads what `vla vision export` writes, and files of the YOLO family from elsewhere: their metadata name the
classes and the size, their output's shape says how it is to be read.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict
from vla_data.errors import CheckpointError, ConfigError, MissingDependencyError
from vla_vision.detection.checkpoint import FILES, DetectorRecord
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import Layout, layout_of
from vla_vision.detection.network import NetworkDetector, NetworkSpec

METADATA = "vla"  # key of our record in the file's metadata
DEFAULT_SIZE = 640
MOST_CLASSES = 100_000
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def open_onnx(
    path: Path, options: DetectOptions | None = None, class_names: tuple[str, ...] = ()
) -> NetworkDetector:
    """The detector of an .onnx file or of a directory of `vla vision export`.

    Args:
        class_names: for a file that names none.

    Raises:
        CheckpointError: the file is damaged, or no network of the YOLO family.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    options = options or DetectOptions()
    file = path / FILES["onnx"] if path.is_dir() else path
    session = _session(file, options)
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
        raise CheckpointError(
            "a network does not take images",
            where=str(file),
            expected="one float input [N, 3, height, width]",
            got=", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs),
        )
    name, kind = inputs[0].name, TYPES[inputs[0].type]
    shapes = [tuple(o.shape) for o in session.get_outputs()]
    spec = _spec(session.get_modelmeta().custom_metadata_map, inputs[0].shape, shapes, class_names, str(file))

    def forward(images: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(o, np.float32) for o in session.run(None, {name: images.astype(kind, copy=False)})]

    return NetworkDetector(forward, spec, options)


def spec_of(record: DetectorRecord) -> NetworkSpec:
    """How the networks of our own export are used."""
    layout = Layout("anchors", len(record.class_names), record.masks, corners=True, suppress=record.suppress)
    return NetworkSpec(record.class_names, record.image_size, layout)


def _session(file: Path, options: DetectOptions) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "running an ONNX detector needs ONNX Runtime",
            expected="the extra vla-vision[onnx]",
            got=str(error),
            next_step='pip install "vla-vision[onnx]"',
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    if options.threads:
        settings.intra_op_num_threads = options.threads
    try:
        return onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class of their own
        raise CheckpointError(
            "an ONNX file cannot be used",
            where=str(file),
            expected="a whole ONNX network",
            got=str(error).splitlines()[0][:200],
            next_step="export or fetch it again: vla vision export CKPT --to onnx --out DIR",
        ) from error


def _spec(
    metadata: Mapping[str, str],
    taken: list[Any],
    outputs: list[tuple[Any, ...]],
    class_names: tuple[str, ...],
    where: str,
) -> NetworkSpec:
    if METADATA in metadata:
        return spec_of(_record(metadata[METADATA], where))
    names = class_names or _names(metadata.get("names", ""))
    masks = (
        outputs[1][1] if len(outputs) > 1 and len(outputs[1]) == 4 and isinstance(outputs[1][1], int) else 0
    )
    if not names:
        names = _numbered(outputs[0], masks, where)
    layout = layout_of(outputs[0], len(names), masks, where)
    fixed = [d if isinstance(d, int) and d > 0 else None for d in taken]
    canvas = (fixed[2], fixed[3]) if fixed[2] and fixed[3] else None
    size = max(canvas) if canvas else _size(metadata.get("imgsz", ""))
    return NetworkSpec(names, size, layout, canvas, fixed[0])


def _record(text: str, where: str) -> DetectorRecord:
    try:
        return from_dict(DetectorRecord, json.loads(text), where="metadata")
    except (ValueError, ConfigError) as error:
        raise CheckpointError(
            "the metadata of a network cannot be read", where=where, got=str(error)
        ) from error


def _names(text: str) -> tuple[str, ...]:
    """Class names as YOLO exports carry them: a mapping or list, written as Python would print it."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _numbered(shape: tuple[Any, ...], masks: int, where: str) -> tuple[str, ...]:
    """Names for classes that have none: as many as the output has room for."""
    count = (
        shape[1] - 4 - masks
        if len(shape) == 3 and isinstance(shape[1], int) and isinstance(shape[2], str)
        else 0
    )
    if not 0 < count <= MOST_CLASSES:
        raise CheckpointError(
            "a network does not say which classes it knows",
            where=where,
            expected="class names in its metadata",
            got=f"output {list(shape)}",
            next_step="give them: class_names=(…), on the command line --classes a,b,c",
        )
    return tuple(f"class {i}" for i in range(count))


def _size(text: str) -> int:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return DEFAULT_SIZE
    sides = found if isinstance(found, (list, tuple)) else [found]
    return int(max(sides)) if sides and all(isinstance(s, int) and s > 0 for s in sides) else DEFAULT_SIZE
