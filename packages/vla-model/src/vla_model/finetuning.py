"""Training a policy on episodes: one run directory in, one checkpoint out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_data.charts import Line, LineChart
from vla_data.config import to_dict
from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, FitResult, fit
from vla_data.normalize import Normalizer, NormStats
from vla_data.protocols import ActionCodec, EpisodeSource, OnProgress, no_progress
from vla_data.report import Section, Table
from vla_data.types import CameraInput, Episode, InputSpec
from vla_model.checkpoint import PolicyRecord, PolicyStats, save_checkpoint
from vla_model.policies.compact import CompactConfig, CompactNetwork, CompactShapes
from vla_model.policies.learned import INSTRUCTION_LENGTH
from vla_model.samples import SampleTable
from vla_model.words import WordVocabulary


@dataclass(frozen=True)
class FinetuneConfig:
    """How a policy is trained.

    Args:
        policy: the network.
        fit: optimiser, schedule, steps.
        action_horizon: actions in a chunk, for a head without a codec (a codec brings its own).
        execute: actions of a chunk to execute before looking again.
        cameras: cameras to look through, in order; empty for all of the data.
    """

    policy: CompactConfig = field(default_factory=CompactConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    action_horizon: int = 16
    execute: int = 8
    cameras: tuple[str, ...] = ()


def _default() -> FinetuneConfig:
    return FinetuneConfig(
        fit=FitConfig(
            steps=5000,
            batch_size=64,
            learning_rate=1e-3,
            weight_decay=1e-4,
            warmup_steps=100,
            schedule="cosine",
            gradient_clip=1.0,
            ema_decay=0.998,
            checkpoint_every=500,
        )
    )


def _debug() -> FinetuneConfig:
    config = _default()
    return replace(
        config, fit=replace(config.fit, steps=20, batch_size=8, warmup_steps=2, checkpoint_every=10)
    )


PRESETS: dict[str, Callable[[], FinetuneConfig]] = {"default": _default, "debug": _debug}


def finetune(
    source: EpisodeSource,
    config: FinetuneConfig,
    codec_dir: Path | None,
    out: Path,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Train a policy and write `out/checkpoint`.

    Args:
        source: episodes to learn from.
        config: how.
        codec_dir: the fitted action codec; needed by the `codes` head, unused by the other.
        out: run directory; an interrupted training resumes from it.

    Returns:
        A summary of plain values and the sections of the run's page.
    """
    codec = _open_codec(config, codec_dir, source)
    horizon = codec.action_horizon if codec else config.action_horizon
    input_spec = _input_spec(source, config, horizon)
    table = SampleTable.of(source, input_spec.cameras, horizon, on_progress)
    stats = PolicyStats(
        NormStats.of([table.state], f"state of {source.name}"),
        NormStats.of([table.chunks[:, 0]], f"action of {source.name}"),
    )
    vocabulary = WordVocabulary.of(table.texts)
    shapes = _shapes(table, vocabulary, codec)
    torch.manual_seed(config.fit.seed)
    network = CompactNetwork(config.policy, shapes)
    batches = _Batches(table, stats, vocabulary, codec, config.fit)
    result = fit(network, batches, config.fit, out, on_progress)
    record = PolicyRecord(
        "compact",
        to_dict(config.policy),
        to_dict(shapes),
        input_spec,
        vocabulary.words,
        config.execute,
        trained_on=(source.name,),
    )
    save_checkpoint(out / "checkpoint", network.cpu(), record, stats, codec_dir if codec else None)
    return _describe(network, table, result, config)


class _Batches:
    """Batch number → tensors; a pure function of the step."""

    def __init__(
        self,
        table: SampleTable,
        stats: PolicyStats,
        vocabulary: WordVocabulary,
        codec: ActionCodec | None,
        fit_config: FitConfig,
    ) -> None:
        self.table, self.fit = table, fit_config
        self.words = vocabulary.encode(table.texts, INSTRUCTION_LENGTH)
        self.state = Normalizer(stats.state).normalize(table.state)
        if codec is None:
            self.target: np.ndarray = Normalizer(stats.action).normalize(table.chunks)
        else:
            self.target = codec.encode(table.chunks)

    def __call__(self, step: int) -> dict[str, Tensor]:
        rows, texts = self.table.sample(step, self.fit.batch_size, self.fit.seed)
        return {
            "images": torch.from_numpy(self.table.images[rows]),
            "state": torch.from_numpy(self.state[rows]),
            "words": torch.from_numpy(self.words[texts]),
            "target": torch.from_numpy(self.target[rows]),
        }


def _open_codec(config: FinetuneConfig, codec_dir: Path | None, source: EpisodeSource) -> ActionCodec | None:
    if config.policy.head != "codes":
        return None
    if codec_dir is None:
        raise ConfigError(
            "a head that speaks codes needs a codec",
            where="--codec",
            next_step="fit one with: vla ts fit-vqvae --data URI --out DIR; or choose --head continuous",
        )
    from vla_ts import load_codec

    return load_codec(codec_dir, source.robot.action, where=f"codec {codec_dir} and data {source.name}")


def _input_spec(source: EpisodeSource, config: FinetuneConfig, horizon: int) -> InputSpec:
    first: Episode = source[0]
    names = config.cameras or tuple(first.images)
    missing = [n for n in names if n not in first.images]
    if missing or not names:
        raise ConfigError(
            "the data has no such camera",
            where="cameras",
            expected=", ".join(first.images) or "at least one camera in the data",
            got=", ".join(missing) or "none",
        )
    sizes = {n: first.images[n][0].shape for n in names}
    if len({s[:2] for s in sizes.values()}) > 1:
        raise ConfigError("cameras of one policy must have one size", where="cameras", got=str(sizes))
    cameras = tuple(CameraInput(n, sizes[n][0], sizes[n][1]) for n in names)
    return InputSpec(source.robot, cameras, horizon)


def _shapes(table: SampleTable, vocabulary: WordVocabulary, codec: ActionCodec | None) -> CompactShapes:
    _, cameras, _, height, width = table.images.shape
    levels = codec.tokens_per_chunk if codec else 0
    if levels is None:
        raise ConfigError(
            "the codes head needs a codec with a fixed number of codes a chunk",
            where="--codec",
            got="variable",
        )
    return CompactShapes(
        cameras,
        height,
        width,
        table.state.shape[1],
        len(vocabulary.words),
        *table.chunks.shape[1:],
        levels=levels,
        codebook_size=codec.vocab_size if codec else 0,
    )


def _describe(
    network: CompactNetwork, table: SampleTable, result: FitResult, config: FinetuneConfig
) -> tuple[dict[str, Any], list[Section]]:
    parameters = sum(p.numel() for p in network.parameters())
    history = {name: values for name, values in result.history.items() if name != "learning_rate"}
    last = {name: values[-1][1] for name, values in history.items() if values}
    summary = {
        "parameters": parameters,
        "samples": len(table),
        "wordings": len(table.texts),
        "steps": config.fit.steps,
        "head": config.policy.head,
        **{k: round(v, 5) for k, v in last.items()},
    }
    curves = [
        LineChart(
            f"Training {name}",
            (Line(name, tuple(float(s) for s, _ in values), tuple(v for _, v in values)),),
            x_label="step",
        )
        for name, values in history.items()
        if len(values) > 1
    ]
    rows = tuple((k, f"{v:,}" if isinstance(v, int) else str(v)) for k, v in summary.items())
    return summary, [Section("Policy training", (Table(("", "value"), rows), *curves))]
