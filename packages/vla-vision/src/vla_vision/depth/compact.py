"""Trained depth networks as directories: weights, config and a manifest that proves both whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.fit import load_weights, save_weights
from vla_data.runs import make_manifest, verify
from vla_vision.depth.config import CompactDepthConfig
from vla_vision.depth.inference import BATCH, NetworkDepth
from vla_vision.depth.network import CompactDepthNet
from vla_vision.depth.spec import Batch, DepthSpec

CONFIG, WEIGHTS, SUBDIRECTORY = "depth.json", "depth.safetensors", "depth"


class DepthOf(nn.Module):
    """Depth from a network that gives its logarithm; what is exported and run."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] → depth [B, h, w]."""
        return self.network(images).exp()


def torch_depth(
    module: nn.Module, spec: DepthSpec, device: str = "cpu", batch_size: int = BATCH
) -> NetworkDepth:
    """A `DepthModel` that runs `module` (images → depth) with torch."""
    module = module.eval().to(device)

    def run(batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    return NetworkDepth(run, spec, batch_size, module)


def save_compact(directory: Path, network: CompactDepthNet, spec: DepthSpec) -> None:
    """Write a network; it appears under `directory` only when whole."""
    content = {"network": to_dict(network.config), "spec": to_dict(spec)}
    with atomic_directory(directory) as part:
        save_weights(network, part / WEIGHTS)
        write_json(part / CONFIG, content)
        make_manifest(part, "depth", content).save(part)


def read_compact(directory: Path) -> tuple[CompactDepthNet, DepthSpec]:
    """The network and spec of a directory, or of the run of `vla vision train-depth` that holds it.

    Raises:
        CheckpointError: a file is missing or does not match its manifest.
    """
    directory = directory if (directory / CONFIG).is_file() else directory / SUBDIRECTORY
    try:
        verify(directory)
        content = read_json(directory / CONFIG)
        network = CompactDepthNet(from_dict(CompactDepthConfig, content["network"], str(directory)))
        spec = from_dict(DepthSpec, content["spec"], str(directory))
    except CheckpointError:
        raise
    except (DataError, ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(
            "a depth network's directory is not whole",
            where=str(directory),
            expected=f"{CONFIG}, {WEIGHTS} and manifest.json",
            got=str(error),
            next_step="copy it again from where it was made, or train it again: vla vision train-depth",
        ) from error
    load_weights(network, directory / WEIGHTS)
    return network, spec


def load_compact(directory: Path, *, device: str = "cpu", batch_size: int = BATCH) -> NetworkDepth:
    """A trained depth network, ready to run; raises as `read_compact` does."""
    network, spec = read_compact(directory)
    return torch_depth(DepthOf(network), spec, device, batch_size)


def is_compact(directory: Path) -> bool:
    """Whether a depth network of ours lies here."""
    return (directory / CONFIG).is_file() or (directory / SUBDIRECTORY / CONFIG).is_file()
