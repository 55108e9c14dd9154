"""Resume states: Lightning's nested checkpoint as one safetensors file, never a pickle.

Tensors are stored as such; everything around them as JSON in the file's header. It is one file because
one rename is atomic: whatever kills the process, the last whole state stays under its name. The header
holds a digest of the content, since safetensors alone loads a flipped bit without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors.torch import save_file
from torch import Tensor

from vla_data.errors import CheckpointError
from vla_data.files import atomic_path
from vla_data.fit.weights import read_tensors, unique_tensors


class SafetensorsIO(CheckpointIO):
    """Lightning's door to disk. `identity` says what is being trained; another one's state is refused."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self.identity = dict(identity)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        named: dict[str, Tensor] = {}
        tree = pack(checkpoint, named)
        tensors, aliases = unique_tensors(named)
        header = json.dumps({"tree": tree, "aliases": aliases, "identity": self.identity})
        with atomic_path(Path(path)) as part:
            save_file(tensors, part, metadata={"state": header, "sha256": _digest(header, tensors)})

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Raises CheckpointError when the state is damaged or belongs to another training."""
        tensors, metadata = read_tensors(Path(path))
        header = metadata.get("state", "")
        if metadata.get("sha256") != _digest(header, tensors):
            raise CheckpointError(
                "a resume state is damaged",
                where=str(path),
                expected=f"sha256 {metadata.get('sha256')}",
                next_step=f"start over: rm -r {Path(path).parent}",
            )
        state = json.loads(header)
        self._require_same(state["identity"], Path(path))
        for name, stored in state["aliases"].items():
            tensors[name] = tensors[stored].clone()
        return unpack(state["tree"], tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)

    def _require_same(self, found: Mapping[str, str], path: Path) -> None:
        differing = [k for k in self.identity if found.get(k) != self.identity[k]]
        if differing:
            raise CheckpointError(
                f"an unfinished training with another {' and '.join(differing)} is here",
                where=str(path),
                expected=", ".join(f"{k} {self.identity[k][:12]}" for k in differing),
                got=", ".join(f"{k} {found.get(k, 'none')[:12]}" for k in differing),
                next_step=f"choose another directory, or start over: rm -r {path.parent}",
            )


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON-ready plain values; tensors go to `tensors` and leave their name behind."""
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, Mapping):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: pack(v, tensors) for k, v in value.items()}
        return {"$dict": [[pack(k, tensors), pack(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [pack(v, tensors) for v in value]}
    if isinstance(value, list):
        return [pack(v, tensors) for v in value]
    assert value is None or isinstance(value, (bool, int, float, str)), f"{type(value)} in a resume state"
    return value


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`."""
    if isinstance(value, list):
        return [unpack(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$tuple" in value:
        return tuple(unpack(v, tensors) for v in value["$tuple"])
    if "$dict" in value:
        return {unpack(k, tensors): unpack(v, tensors) for k, v in value["$dict"]}
    return {k: unpack(v, tensors) for k, v in value.items()}


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
