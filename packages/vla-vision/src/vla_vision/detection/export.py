"""A trained detector as files for engines that need no torch. Needs `vla-vision[yolo,onnx,openvino]`."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from vla_data.config import to_dict
from vla_data.errors import CheckpointError, MissingDependencyError
from vla_data.fit import load_weights
from vla_vision.detection.checkpoint import (
    FILES,
    DetectorRecord,
    find_checkpoint,
    read_detector,
    save_detector,
)
from vla_vision.detection.onnx_engine import METADATA
from vla_vision.detection.openvino_engine import import_openvino

Target = Literal["onnx", "openvino"]


def export_detector(checkpoint: Path, target: Target, out: Path) -> dict[str, Any]:
    """Write a checkpoint of `vla vision train` for another engine.

    Args:
        checkpoint: its directory, or the run's.
        out: directory to write; it appears when whole.

    Returns:
        What was written, in a few plain values.

    Raises:
        CheckpointError: the checkpoint is damaged or already an export.
        MissingDependencyError: a package that exporting needs is not installed.
    """
    from vla_vision.detection.yolo import YoloNetwork, write_onnx

    directory = find_checkpoint(checkpoint)
    record = read_detector(directory)
    if record.engine != "yolo":
        raise CheckpointError(
            "only a trained checkpoint can be exported",
            where=str(directory),
            expected=FILES["yolo"],
            got=f"an export for {record.engine}",
            next_step="give the directory that vla vision train wrote",
        )
    network = YoloNetwork(record.architecture, len(record.class_names))
    load_weights(network, directory / FILES["yolo"])
    exported = replace(record, engine=target)
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / FILES["onnx"]
        write_onnx(network, onnx_file, record)
        if target == "onnx":
            _add_metadata(onnx_file, exported)
            save_detector(out, exported, lambda path: _copy(onnx_file, path))
        else:
            save_detector(out, exported, lambda path: _convert(onnx_file, path))
    size = sum(p.stat().st_size for p in out.iterdir())
    return {"checkpoint": str(out), "engine": target, "bytes": size, "classes": len(record.class_names)}


def _add_metadata(path: Path, record: DetectorRecord) -> None:
    """So that the file explains itself where it is copied alone; other readers find the usual keys."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "exporting needs the onnx package",
            expected="the extra vla-vision[onnx]",
            got=str(error),
            next_step='pip install "vla-vision[onnx]"',
        ) from error
    model = onnx.load(str(path))
    names = dict(enumerate(record.class_names))
    texts = {
        METADATA: json.dumps(to_dict(record)),
        "names": repr(names),
        "imgsz": repr([record.image_size] * 2),
    }
    onnx.helper.set_model_props(
        model, texts | {"stride": "32", "task": "segment" if record.masks else "detect"}
    )
    onnx.save(model, str(path))


def _copy(onnx_file: Path, path: Path) -> None:
    shutil.copyfile(onnx_file, path)


def _convert(onnx_file: Path, path: Path) -> None:
    openvino = import_openvino()
    openvino.save_model(openvino.convert_model(str(onnx_file)), str(path), compress_to_fp16=False)
