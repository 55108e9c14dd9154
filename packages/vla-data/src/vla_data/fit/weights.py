"""Weights in safetensors files: saved whole or not at all, loaded only where they fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vla_data.errors import CheckpointError
from vla_data.files import atomic_path

ALIASES = "aliases"  # metadata key: names that share a tensor stored under another name


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `module` atomically; tied weights are stored once."""
    tensors, aliases = unique_tensors(module.state_dict())
    with atomic_path(path) as part:
        save_file(tensors, part, metadata={ALIASES: json.dumps(aliases)})


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` from a file of `save_weights`; every name and shape must fit.

    Raises:
        CheckpointError: the file is missing or damaged, or its names or shapes are not the module's.
            The module is then unchanged.
    """
    found, metadata = read_tensors(path)
    for name, stored in json.loads(metadata.get(ALIASES, "{}")).items():
        found[name] = found[stored]
    _require_fit(module.state_dict(), found, path)
    module.load_state_dict(found)


def unique_tensors(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of `state` on the CPU with memory of their own, and alias → name of those that share it."""
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    owners: dict[tuple[object, ...], str] = {}
    for name, tensor in state.items():
        key = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in owners:
            aliases[name] = owners[key]
            continue
        owners[key] = name
        whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        plain = tensor.detach().cpu().contiguous()
        # A view into a larger storage would make safetensors refuse its neighbours.
        tensors[name] = plain if whole else plain.clone()
    return tensors, aliases


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, on the CPU, and its metadata.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            "a file of weights cannot be read",
            where=str(path),
            expected="a whole safetensors file",
            got="no file" if not path.exists() else str(error),
        ) from error


def _require_fit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"missing {name}" for name in wanted if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in wanted]
    problems += [
        f"{name} {_shape(found[name])} instead of {_shape(wanted[name])}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    if problems:
        raise CheckpointError(
            "weights do not fit the module",
            where=str(path),
            expected=f"{len(wanted)} tensors by the module's names and shapes",
            got="; ".join(problems[:6]) + (f"; … ({len(problems)} in all)" if len(problems) > 6 else ""),
            next_step="build the module from the configuration saved beside the weights",
        )


def _shape(tensor: Tensor) -> list[int]:
    return list(torch.Size(tensor.shape))
