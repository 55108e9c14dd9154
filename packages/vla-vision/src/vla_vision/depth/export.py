"""Depth networks as files that need no torch: ONNX, and OpenVINO's pair of .xml and .bin.

An exported file looks at frames of one size and carries its `DepthSpec`, so that it alone is enough to know
what its numbers mean. The number of frames looked at together stays free.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from vla_data.config import to_dict
from vla_data.errors import ConfigError, MissingDependencyError
from vla_data.files import atomic_path, write_bytes
from vla_vision.depth.exported import INPUT, OUTPUT, SPEC
from vla_vision.depth.inference import NetworkDepth
from vla_vision.depth.spec import DepthSpec

OPSET = 17


def export_onnx(model: NetworkDepth, path: Path, shape: tuple[int, int]) -> DepthSpec:
    """Write `path` (.onnx) for frames of the aspect of `shape` (height, width).

    Returns:
        The spec of the exported file, its `shape` set.

    Raises:
        ConfigError: `model` does not run with torch.
        MissingDependencyError: the extra `vla-vision[onnx]` is not installed.
    """
    onnx = _require("onnx", "vla-vision[onnx]")
    spec = exported_spec(model.spec, shape)
    with atomic_path(path) as part:
        _write_graph(_module(model), spec, part)
        graph = onnx.load(str(part))
        onnx.helper.set_model_props(graph, {SPEC: json.dumps(to_dict(spec))})
        onnx.save(graph, str(part))
    return spec


def export_openvino(model: NetworkDepth, path: Path, shape: tuple[int, int]) -> DepthSpec:
    """Write `path` (.xml) and its .bin; see `export_onnx`. Weights are kept in float32.

    Raises:
        ConfigError: `model` does not run with torch.
        MissingDependencyError: the extra `vla-vision[openvino]` is not installed.
    """
    openvino = _require("openvino", "vla-vision[openvino]")
    spec = exported_spec(model.spec, shape)
    with TemporaryDirectory() as place:
        graph, files = Path(place) / "depth.onnx", Path(place) / "depth.xml"
        _write_graph(_module(model), spec, graph)
        converted = openvino.convert_model(str(graph))
        converted.set_rt_info(json.dumps(to_dict(spec)), SPEC)
        openvino.save_model(converted, str(files), compress_to_fp16=False)
        # The weights first: an .xml without its .bin would be no model.
        write_bytes(path.with_suffix(".bin"), files.with_suffix(".bin").read_bytes())
        write_bytes(path, files.read_bytes())
    return spec


def exported_spec(spec: DepthSpec, shape: tuple[int, int]) -> DepthSpec:
    """`spec` fixed to what frames of (height, width) are brought to."""
    from dataclasses import replace

    return replace(spec, shape=spec.input_shape(*shape))


def _write_graph(module: nn.Module, spec: DepthSpec, path: Path) -> None:
    assert spec.shape is not None
    example = torch.zeros(1, 3, *spec.shape)
    free = {0: "batch"}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracing exporter is called old at every use; it needs no more packages
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free, OUTPUT: free},
            opset_version=OPSET,
            dynamo=False,
        )


def _module(model: NetworkDepth) -> nn.Module:
    if isinstance(model.module, nn.Module):
        return model.module.eval().to("cpu")
    raise ConfigError(
        "only a network that runs with torch can be exported",
        where=model.spec.name,
        expected="weights of vla vision train-depth, or of Depth Anything",
        got="an exported file",
    )


def _require(name: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} is not installed", where="export", got=str(error), next_step=f"install {extra}"
        ) from error
