"""How things move: optical flow, and velocity in space from tracks and depth."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.velocity.config import PRESETS, VelocityConfig
    from vla_vision.velocity.filter import Velocities, VelocityFilter, radial_and_lateral
    from vla_vision.velocity.flow import (
        DenseFlow,
        FlowConfig,
        flow_in_boxes,
        optical_flow,
        per_second,
    )
    from vla_vision.velocity.lifting import object_depths

_LAZY = {
    "DenseFlow": "flow",
    "FlowConfig": "flow",
    "PRESETS": "config",
    "Velocities": "filter",
    "VelocityConfig": "config",
    "VelocityFilter": "filter",
    "flow_in_boxes": "flow",
    "object_depths": "lifting",
    "optical_flow": "flow",
    "per_second": "flow",
    "radial_and_lateral": "filter",
}

__all__ = [
    "PRESETS",
    "DenseFlow",
    "FlowConfig",
    "Velocities",
    "VelocityConfig",
    "VelocityFilter",
    "flow_in_boxes",
    "object_depths",
    "optical_flow",
    "per_second",
    "radial_and_lateral",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"vla_vision.velocity.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
