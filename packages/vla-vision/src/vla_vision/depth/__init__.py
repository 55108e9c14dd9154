"""How far everything is: depth networks, trained and ready-made, their exports, smoothing and calibration."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.depth.calibration import Calibration, KnownObject, calibrate, calibrate_by_size
    from vla_vision.depth.config import TrainDepthConfig
    from vla_vision.depth.export import export_onnx, export_openvino
    from vla_vision.depth.folder import FolderConfig, read_depth, write_depth
    from vla_vision.depth.inference import NetworkDepth
    from vla_vision.depth.loading import LoadConfig, load_depth
    from vla_vision.depth.smoothing import DepthSmoother, SmoothingConfig
    from vla_vision.depth.spec import DepthSpec
    from vla_vision.depth.training import train_depth

_WHERE = {
    "calibration": ("Calibration", "KnownObject", "calibrate", "calibrate_by_size"),
    "config": ("TrainDepthConfig",),
    "export": ("export_onnx", "export_openvino"),
    "folder": ("FolderConfig", "read_depth", "write_depth"),
    "inference": ("NetworkDepth",),
    "loading": ("LoadConfig", "load_depth"),
    "smoothing": ("DepthSmoother", "SmoothingConfig"),
    "spec": ("DepthSpec",),
    "training": ("train_depth",),
}
_LAZY = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Calibration",
    "DepthSmoother",
    "DepthSpec",
    "FolderConfig",
    "KnownObject",
    "LoadConfig",
    "NetworkDepth",
    "SmoothingConfig",
    "TrainDepthConfig",
    "calibrate",
    "calibrate_by_size",
    "export_onnx",
    "export_openvino",
    "load_depth",
    "read_depth",
    "train_depth",
    "write_depth",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.depth.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
