"""Any depth weights by their path or id: one door for all commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vla_vision.depth.inference import BATCH, NetworkDepth
from vla_vision.depth.spec import SIZES, Kind


@dataclass(frozen=True)
class LoadConfig:
    """How depth weights are loaded; what a kind of weights has no use for is ignored.

    Args:
        size: a name of `SIZES`, for Depth Anything.
        kind: what Depth Anything weights were trained for, where their config does not say it rightly.
        download: fetch weights by hub id that are not on this machine.
        device: where torch runs them.
        threads: of ONNX Runtime and OpenVINO.
        precision: of OpenVINO.
        batch_size: frames looked at together.
    """

    size: str = "balanced"
    kind: Kind | None = None
    download: bool = False
    device: str = "cpu"
    threads: int = 1
    precision: str = "f32"
    batch_size: int = BATCH


def load_depth(weights: str | Path, config: LoadConfig = LoadConfig()) -> NetworkDepth:
    """A depth model from what `weights` names.

    - a directory of `vla vision train-depth`: metric, trained here
    - a file .onnx or .xml (OpenVINO) written by `export_onnx`, `export_openvino`: no torch
    - a directory of Depth Anything weights, or their hub id

    Raises:
        MissingDependencyError: there is nothing of that name on this machine (nothing is fetched unless
            `download`), or a runtime is not installed.
        CheckpointError: what is there cannot be read.
        UnknownNameError: no such size.
    """
    from vla_data.registry import lookup

    path = Path(weights)
    size = lookup("size", SIZES, config.size)
    if path.suffix == ".onnx":
        from vla_vision.depth.exported import load_onnx

        return load_onnx(path, threads=config.threads, batch_size=config.batch_size)
    if path.suffix == ".xml":
        from vla_vision.depth.exported import load_openvino

        precision = "bf16" if config.precision == "bf16" else "f32"
        return load_openvino(path, threads=config.threads, precision=precision, batch_size=config.batch_size)
    from vla_vision.depth.compact import is_compact, load_compact

    if is_compact(path):
        return load_compact(path, device=config.device, batch_size=config.batch_size)
    from vla_vision.depth.depth_anything import load_depth_anything

    return load_depth_anything(
        weights,
        size=size,
        kind=config.kind,
        download=config.download,
        device=config.device,
        batch_size=config.batch_size,
    )
