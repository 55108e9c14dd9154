"""Depth Anything V2 (Yang et al. 2024, arXiv:2406.09414) through transformers.

Its two kinds look alike and mean opposite things: *relative* weights say disparity up to scale and shift
(larger is nearer), *metric* ones metres (larger is farther), and a `config.json` that does not say
`depth_estimation_type` counts as relative. V2-Small is under Apache-2.0; Base, Large and Giant are under
CC-BY-NC-4.0: not for products.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vla_data.errors import CheckpointError, MissingDependencyError
from vla_vision.depth.compact import torch_depth
from vla_vision.depth.inference import BATCH, NetworkDepth
from vla_vision.depth.spec import SIZES, DepthSpec, Kind

MODEL_TYPE = "depth_anything"
SMALL = "depth-anything/Depth-Anything-V2-Small-hf"


class _Predicted(nn.Module):
    """The one tensor of the model's answer that matters."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] → [B, h, w]."""
        return self.model(images).predicted_depth


def load_depth_anything(
    weights: str | Path,
    *,
    size: int = SIZES["balanced"],
    kind: Kind | None = None,
    download: bool = False,
    device: str = "cpu",
    batch_size: int = BATCH,
) -> NetworkDepth:
    """Depth Anything from a directory of weights (config.json, model.safetensors) or by a hub id.

    Args:
        size: pixels of the shorter side it looks at (`SIZES`).
        kind: what the weights were trained for, where their config does not say it rightly.
        download: fetch what is not on this machine; without, nothing touches the network.

    Raises:
        MissingDependencyError: the weights are not on this machine and `download` is off, or fetching failed.
        CheckpointError: they are damaged, or those of another kind of model.
    """
    model, found = _load(str(weights), kind, download)
    patch = model.config.patch_size
    multiple = int(max(patch) if isinstance(patch, (list, tuple)) else patch)
    spec = DepthSpec(Path(weights).name, found, size, multiple)
    return torch_depth(_Predicted(model), spec, device, batch_size)


def with_size(model: NetworkDepth, size: int) -> NetworkDepth:
    """The same network looking at more or fewer pixels (of the shorter side)."""
    return replace(model, spec=replace(model.spec, size=size))


def tiny_config(kind: Kind = "relative", max_depth: int = 10) -> Any:
    """A `DepthAnythingConfig` of a few thousand weights, for trying a pipeline without real ones."""
    from transformers import DepthAnythingConfig, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        reshape_hidden_states=False,
    )
    backbone.set_output_features_output_indices(out_features=["stage1", "stage2"], out_indices=None)
    return DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=max_depth,
    )


def _load(weights: str, kind: Kind | None, download: bool) -> tuple[Any, Kind]:
    from transformers import AutoConfig, DepthAnythingForDepthEstimation

    with _quiet(), _explained(weights, download):
        config = AutoConfig.from_pretrained(weights, local_files_only=not download)
        _require_type(weights, config)
        if kind is not None:
            config.depth_estimation_type = kind
        loaded: Any = DepthAnythingForDepthEstimation.from_pretrained(
            weights,
            config=config,
            local_files_only=not download,
            use_safetensors=True,
            output_loading_info=True,
        )
        model, info = loaded
    wrong = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
    if wrong:
        raise _not_whole(weights, f"{len(wrong)} tensors missing, unexpected or of another shape: {wrong[0]}")
    return model, config.depth_estimation_type


def _require_type(weights: str, config: Any) -> None:
    found = getattr(config, "model_type", None)
    if found != MODEL_TYPE:
        raise CheckpointError(
            "these are weights of another kind of model",
            where=weights,
            expected=f"model_type {MODEL_TYPE!r}: only of that kind is it known which way its depth goes",
            got=repr(found),
            next_step=f"use Depth Anything weights such as {SMALL}",
        )


@contextmanager
def _explained(weights: str, download: bool) -> Iterator[None]:
    """transformers' errors as ours: absent weights and damaged ones are different things."""
    try:
        yield
    except (CheckpointError, MissingDependencyError):
        raise
    except Exception as error:
        if Path(weights).is_dir():
            raise _not_whole(weights, str(error).splitlines()[0]) from error
        raise missing_weights(weights, download, error) from error


def missing_weights(
    weights: str, download: bool = False, error: Exception | None = None
) -> MissingDependencyError:
    """What to say when weights are nowhere to be found."""
    fetched = "" if error is None else f": {str(error).splitlines()[0]}"
    return MissingDependencyError(
        "depth weights could not be fetched" if download else "depth weights are not on this machine",
        where=weights,
        expected="a directory with config.json and model.safetensors, one of vla vision train-depth, an "
        ".onnx or OpenVINO .xml file, or the id of weights in the local hub cache",
        got=("no answer" if download else "nothing there") + fetched,
        next_step=f"fetch them once with --download (such as {SMALL}, Apache-2.0; larger ones are "
        "CC-BY-NC-4.0), or copy their directory here; without any weights, vla vision train-depth trains a "
        "small network from episodes with depth",
    )


def _not_whole(weights: str, got: str) -> CheckpointError:
    return CheckpointError(
        "depth weights cannot be read",
        where=weights,
        expected="config.json and model.safetensors of a Depth Anything",
        got=got,
        next_step="copy or fetch them again",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers' progress bars and advice do not belong in a library's output."""
    from transformers.utils import logging as hub

    level, bars = hub.get_verbosity(), hub.is_progress_bar_enabled()
    hub.set_verbosity(logging.CRITICAL)
    hub.disable_progress_bar()
    try:
        yield
    finally:
        hub.set_verbosity(level)
        if bars:
            hub.enable_progress_bar()
