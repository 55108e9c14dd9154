"""Policy checkpoints: weights, config, statistics and codec in one directory that proves itself whole.

checkpoint/
  model.safetensors   weights
  config.json         policy kind, network config, shapes, InputSpec, vocabulary
  norm_stats.json     statistics of state and action
  codec/              the action codec, for a policy that speaks codes
  tokenizer.json, prompt.json  for a policy that reads prompts
  manifest.json       sha256 of every file above
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.normalize import NormStats
from vla_data.runs import make_manifest, verify
from vla_data.types import InputSpec

WEIGHTS, CONFIG, STATS, CODEC = "model.safetensors", "config.json", "norm_stats.json", "codec"


@dataclass(frozen=True)
class PolicyStats:
    """Statistics of a policy's series: proprioceptive state and action."""

    state: NormStats
    action: NormStats


@dataclass(frozen=True)
class PolicyRecord:
    """Everything of a checkpoint that is not weights or codec.

    Args:
        policy: name in `vla_model.policies.kinds.KINDS`.
        network: config of the network, as plain values.
        shapes: shapes of the network, as plain values.
        input_spec: what the policy needs to see.
        vocabulary: words the policy knows.
        execute: actions of a chunk to execute before looking again.
        trained_on: tasks or data sets seen in training, for the reader.
    """

    policy: str
    network: dict[str, Any]
    shapes: dict[str, Any]
    input_spec: InputSpec
    vocabulary: tuple[str, ...]
    execute: int
    trained_on: tuple[str, ...] = ()


def save_checkpoint(
    directory: Path,
    module: Any,
    record: PolicyRecord,
    stats: PolicyStats,
    codec: Path | None,
    save_texts: Callable[[Path], None] = lambda directory: None,
) -> None:
    """Write a checkpoint; it appears under `directory` only when whole.

    `codec` is a codec's directory, or the run directory of its fitting that holds it; `save_texts` writes
    what reading instructions needs.
    """
    from vla_data.fit import save_weights

    with atomic_directory(directory) as part:
        save_weights(module, part / WEIGHTS)
        write_json(part / CONFIG, to_dict(record))
        write_json(part / STATS, to_dict(stats))
        if codec is not None:
            shutil.copytree(codec / CODEC if (codec / CODEC).is_dir() else codec, part / CODEC)
        save_texts(part)
        make_manifest(part, "checkpoint", to_dict(record)).save(part)


def read_checkpoint(directory: Path) -> tuple[PolicyRecord, PolicyStats]:
    """The record and statistics of a checkpoint, once all its files match their manifest.

    Raises:
        CheckpointError: a file is missing, changed or of another layout.
    """
    if not (directory / CONFIG).is_file():
        inner = directory / "checkpoint"
        hint = f"give {inner}" if (inner / CONFIG).is_file() else "train one: vla model finetune --help"
        raise CheckpointError(
            "not a policy checkpoint",
            where=str(directory),
            expected=CONFIG,
            got="no such file",
            next_step=hint,
        )
    verify(directory)
    try:
        record = from_dict(PolicyRecord, read_json(directory / CONFIG), where=CONFIG)
        stats = from_dict(PolicyStats, read_json(directory / STATS), where=STATS)
    except ConfigError as error:
        raise CheckpointError(
            "a checkpoint of another layout", where=str(directory), got=str(error)
        ) from error
    return record, stats


def find_checkpoint(run: Path) -> Path:
    """The checkpoint of a run of `vla model finetune`, or the directory itself.

    Raises:
        CheckpointError: there is no such directory.
    """
    inner = run / "checkpoint"
    found = inner if inner.is_dir() else run
    if found.is_dir():
        return found
    raise CheckpointError(
        "there is no checkpoint here", where=str(run), next_step="make one: vla model finetune --help"
    )
