"""Backbones in the transformers layout: found, proved the same, opened without unpickling, given LoRA."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from vla_data.errors import CheckpointError, ConfigError, MissingDependencyError
from vla_data.files import sha256_file


def load_backbone(place: Path, sha256: str, lora_rank: int) -> Any:
    """The transformer of a directory, the language part where it has several, with LoRA on all linear layers.

    Args:
        sha256: what its weights are to have; "" takes any.
        lora_rank: 0 leaves LoRA out: all of it is trained.

    Raises:
        CheckpointError: the weights are others, or none that is safe to open.
        MissingDependencyError: transformers or peft is not installed.
    """
    found = digest(place)
    if sha256 and found != sha256:
        raise CheckpointError(
            "the backbone is not the one the policy was trained on",
            where=str(place),
            expected=f"weights of sha256 {sha256}",
            got=found,
            next_step="put the same backbone there, or train again",
        )
    model = transformers().AutoModel.from_pretrained(
        place, use_safetensors=True, dtype=torch.float32, local_files_only=True
    )
    if hasattr(model, "language_model"):
        model = model.language_model
    elif hasattr(model, "text_model"):
        model = model.text_model
    if not lora_rank:
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingDependencyError(
            "LoRA needs peft", where="lora_rank", next_step='pip install "vla-model[hf]"'
        ) from error
    lora = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, target_modules="all-linear")
    return get_peft_model(model, lora)


def load_tokenizer(place: Path) -> Any:
    """The tokenizer of a directory."""
    return transformers().AutoTokenizer.from_pretrained(place, local_files_only=True)


def located(name: str, download: bool) -> Path:
    """The directory of a backbone, fetched into the hub's cache only where that is asked for.

    Raises:
        ConfigError: no name is given.
        CheckpointError: there is no such directory, and no such model in the cache or on the hub.
    """
    if not name:
        raise ConfigError(
            "no backbone is named",
            where="policy.backbone",
            expected="a directory with config.json and safetensors, or a name on the hub",
            next_step="--set policy.backbone=DIR",
        )
    path = Path(name)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt"]
    try:
        found = snapshot_download(name, allow_patterns=patterns, local_files_only=not download)
    except (LocalEntryNotFoundError, HfHubHTTPError, ValueError, OSError) as error:
        raise CheckpointError(
            "there is no such backbone",
            where=name,
            expected="a directory, or a model in the local hub cache",
            got=str(error).splitlines()[0],
            next_step="name a directory, or let it be fetched: --set policy.download=true",
        ) from error
    return Path(found)


def digest(place: Path) -> str:
    """The sha256 of a backbone's weights.

    Raises:
        CheckpointError: it has none in safetensors files.
    """
    files = sorted(place.glob("*.safetensors"))
    if not files:
        others = ", ".join(sorted(p.name for p in place.glob("*.bin"))) or "none"
        raise CheckpointError(
            "a backbone has no safetensors weights",
            where=str(place),
            expected="*.safetensors (pickles are not opened: opening one runs the code in it)",
            got=others,
            next_step="convert it: load it in transformers where you trust it, save_pretrained(DIR)",
        )
    return hashlib.sha256("".join(sha256_file(f) for f in files).encode()).hexdigest()


def transformers() -> Any:
    """The library, imported when it is needed."""
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "a Hugging Face backbone needs transformers",
            where="policy.backbone",
            next_step='pip install "vla-model[hf]"',
        ) from error
    return transformers
