"""Exported depth networks say what torch says, know what they mean, and need no torch."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.vision.depth_scenes import look

from vla_data.errors import CheckpointError, ConfigError
from vla_vision.depth import NetworkDepth, export_onnx, export_openvino, load_depth
from vla_vision.depth.compact import DepthOf, torch_depth
from vla_vision.depth.config import CompactDepthConfig
from vla_vision.depth.network import CompactDepthNet
from vla_vision.depth.spec import DepthSpec

SHAPE = (48, 64)


def compact() -> NetworkDepth:
    torch.manual_seed(0)
    network = CompactDepthNet(CompactDepthConfig((8, 8, 16, 16), (0, 0, 1, 1)))
    return torch_depth(DepthOf(network), DepthSpec("compact", "metric", 32, 16, canonical=True, smooth=True))


def anything() -> NetworkDepth:
    from transformers import DepthAnythingForDepthEstimation

    from vla_vision.depth.depth_anything import _Predicted, tiny_config

    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(tiny_config("relative"))
    return torch_depth(_Predicted(model), DepthSpec("tiny", "relative", 56, 14))


MODELS = {"compact": compact, "depth-anything": anything}
WRITERS = {"depth.onnx": ("onnx", export_onnx), "depth.xml": ("openvino", export_openvino)}


def frames() -> list[np.ndarray]:
    return [look((x, 0.15, 1.5), *SHAPE)[0] for x in (-0.3, 0.0, 0.2)]


def require(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is an extra of vla-vision")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", WRITERS)
def test_exports_say_what_torch_says(name: str, model: str, tmp_path: Path) -> None:
    package, write = WRITERS[name]
    require(package, "onnxruntime" if package == "onnx" else package)
    original = MODELS[model]()
    spec = write(original, tmp_path / name, SHAPE)
    exported = load_depth(tmp_path / name)
    assert exported.spec == spec
    assert spec.shape == original.spec.input_shape(*SHAPE)
    assert (spec.kind, spec.canonical) == (original.spec.kind, original.spec.canonical)
    for batch in (frames(), frames()[:1]):  # the number of frames is free
        for ours, theirs in zip(original.infer(batch, 60.0), exported.infer(batch, 60.0), strict=True):
            assert theirs.kind == ours.kind
            np.testing.assert_allclose(theirs.values, ours.values, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_exported_files_run_without_torch(name: str, tmp_path: Path) -> None:
    package, write = WRITERS[name]
    require(package, "onnxruntime" if package == "onnx" else package)
    write(compact(), tmp_path / name, SHAPE)
    np.save(tmp_path / "frame.npy", frames()[0])
    code = (
        "import sys, numpy as np; sys.modules['torch'] = None; "
        "from vla_vision.depth import load_depth; "
        f"depth = load_depth({str(tmp_path / name)!r}).infer([np.load({str(tmp_path / 'frame.npy')!r})])[0]; "
        "assert depth.values.shape == (48, 64) and depth.kind == 'metric'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", WRITERS)
def test_files_that_are_not_ours(name: str, tmp_path: Path) -> None:
    package, _ = WRITERS[name]
    require("onnxruntime" if package == "onnx" else package)
    with pytest.raises(CheckpointError, match="missing"):
        load_depth(tmp_path / name)
    for path in (tmp_path / name, (tmp_path / name).with_suffix(".bin")):
        path.write_bytes(b"not a network")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_depth(tmp_path / name)


def test_a_file_that_says_nothing_of_its_meaning_is_refused(tmp_path: Path) -> None:
    require("onnx", "onnxruntime")
    onnx: Any = importlib.import_module("onnx")
    export_onnx(compact(), tmp_path / "depth.onnx", SHAPE)
    graph = onnx.load(str(tmp_path / "depth.onnx"))
    del graph.metadata_props[:]
    onnx.save(graph, str(tmp_path / "plain.onnx"))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_depth(tmp_path / "plain.onnx")


def test_only_torch_networks_can_be_exported(tmp_path: Path) -> None:
    require("onnx")
    original = compact()
    bare = NetworkDepth(original.run, original.spec)
    with pytest.raises(ConfigError, match="runs with torch"):
        export_onnx(bare, tmp_path / "depth.onnx", SHAPE)
    assert not (tmp_path / "depth.onnx").exists()
