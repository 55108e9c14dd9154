"""Training a policy on episodes: one run directory in, one checkpoint out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vla_data.charts import Line, LineChart
from vla_data.config import to_dict
from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, FitResult, fit
from vla_data.normalize import NormStats
from vla_data.protocols import ActionCodec, EpisodeSource, OnProgress, no_progress
from vla_data.report import Code, Section, Table, Text
from vla_data.types import CameraInput, Episode, InputSpec
from vla_model.batches import PolicyBatches
from vla_model.checkpoint import PolicyRecord, PolicyStats, save_checkpoint
from vla_model.policies.compact import CompactConfig
from vla_model.policies.hf import HfConfig
from vla_model.policies.kinds import PolicyConfig, kind_of, name_of
from vla_model.policies.rt1 import RT1Config
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.texts import PromptTexts, Texts, WordTexts
from vla_model.policies.vla import VlaConfig
from vla_model.samples import SampleTable
from vla_model.start import load_start
from vla_model.tries import Tries, TryConfig

ROVING = "roving"  # the camera of a policy that looks around


@dataclass(frozen=True)
class FinetuneConfig:
    """How a policy is trained.

    Args:
        policy: the network.
        fit: optimiser, schedule, steps.
        action_horizon: actions in a chunk, for a head without a codec (a codec brings its own).
        execute: actions of a chunk to execute before looking again.
        cameras: cameras to look through, in order; empty for all of the data.
        tries: driving on the way; the weights that drove best are kept, else the last ones.
    """

    policy: PolicyConfig = field(default_factory=CompactConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    action_horizon: int = 16
    execute: int = 8
    cameras: tuple[str, ...] = ()
    tries: TryConfig = field(default_factory=TryConfig)


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


def _hf() -> FinetuneConfig:
    """A backbone that knows language needs smaller steps, and costs more of them."""
    base = _default()
    loop = replace(base.fit, steps=1500, batch_size=16, learning_rate=3e-4, warmup_steps=50, threads=None)
    return replace(base, policy=HfConfig(), fit=loop)


PRESETS: dict[str, Callable[[], FinetuneConfig]] = {
    "default": _default,
    "debug": _debug,
    "compact": _default,
    "rt1": lambda: replace(_default(), policy=RT1Config()),
    "vla": lambda: replace(_default(), policy=VlaConfig()),
    "hf": _hf,
}


def finetune(
    source: EpisodeSource,
    config: FinetuneConfig,
    codec_dir: Path | None,
    out: Path,
    on_progress: OnProgress = no_progress,
    start: Path | None = None,
) -> tuple[dict[str, Any], list[Section]]:
    """Train a policy and write `out/checkpoint`.

    Args:
        source: episodes to learn from.
        config: how.
        codec_dir: the fitted action codec; needed by the `codes` head, unused by the other.
        out: run directory; an interrupted training resumes from it.
        start: run of `vla model midtrain`, whose sizes, tokenizer and fitting weights are taken.

    Returns:
        A summary of plain values and the sections of the run's page.

    Raises:
        ConfigError: the configuration does not fit data, codec or `start`.
        CheckpointError: `start` cannot be read.
    """
    begun = None if start is None else load_start(start)
    if begun is not None:
        config = replace(config, policy=begun.sized(config.policy))
    kind = kind_of(config.policy)
    config = replace(config, policy=kind.prepare(config.policy))
    codec = _open_codec(config, codec_dir, source)
    horizon = codec.action_horizon if codec else config.action_horizon
    input_spec = _input_spec(source, config, horizon)
    table = _read(source, input_spec, config.policy, on_progress)
    stats = PolicyStats(
        NormStats.of([table.state], f"state of {source.name}"),
        NormStats.of([table.chunks[:, 0]], f"action of {source.name}"),
    )
    codes = codec.vocab_size * (codec.tokens_per_chunk or 0) if codec else 0
    texts = kind.texts(config.policy, table.texts, input_spec, tuple(source[0].cameras.values()), codes)
    if begun is not None:
        assert isinstance(texts, PromptTexts)
        texts = replace(texts, tokenizer=begun.tokenizer)
    shapes = _shapes(table, texts, codec, config.policy)
    torch.manual_seed(config.fit.seed)
    network = kind.network(config.policy, shapes)
    new = () if begun is None else begun.put(network)
    batches = PolicyBatches(table, stats, texts, codec, shapes, config.fit, kind.shares_wording)
    record = PolicyRecord(
        name_of(config.policy),
        to_dict(config.policy),
        to_dict(shapes),
        input_spec,
        texts.vocabulary.words if isinstance(texts, WordTexts) else (),
        config.execute,
        trained_on=(source.name,),
    )

    def save(module: nn.Module, directory: Path) -> None:
        save_checkpoint(directory, module, record, stats, codec_dir if codec else None, texts.save)

    every = config.tries.every
    tries = Tries(config.tries, out, save, config.execute, on_progress) if every else None
    result = fit(network, batches, config.fit, out, on_progress, validate=tries, validate_every=every)
    if tries is None:
        save(network.cpu(), out / "checkpoint")
    else:
        tries.keep_best(out / "checkpoint")
    told = Code(texts.shown(table.texts[0]))
    summary, sections = _describe(network, table, result, config, told)
    return (summary | {"new_weights": ", ".join(new)} if begun else summary), sections


def _read(
    source: EpisodeSource, spec: InputSpec, policy: PolicyConfig, on_progress: OnProgress
) -> SampleTable:
    """The samples, with what this policy looks at."""
    kind = kind_of(policy)
    return SampleTable.of(
        source,
        seen_in_data(spec),
        spec.action_horizon,
        on_progress,
        checklists=kind.checklists(policy),
        targets=bool(kind.looks(policy)),
        velocity=kind.velocity(policy),
    )


def _open_codec(config: FinetuneConfig, codec_dir: Path | None, source: EpisodeSource) -> ActionCodec | None:
    if not kind_of(config.policy).codes(config.policy):
        return None
    if codec_dir is None:
        raise ConfigError(
            "a head that speaks codes needs a codec",
            where="--codec",
            next_step="fit one with: vla ts fit-vqvae --data URI --out DIR (for rt1: vla ts fit --codec "
            "uniform_bins); or choose --head continuous",
        )
    from vla_ts import load_codec

    return load_codec(codec_dir, source.robot.action, where=f"codec {codec_dir} and data {source.name}")


def _input_spec(source: EpisodeSource, config: FinetuneConfig, horizon: int) -> InputSpec:
    first: Episode = source[0]
    names = kind_of(config.policy).looks(config.policy) or config.cameras or tuple(first.images)
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
    policy, kind = config.policy, kind_of(config.policy)
    deep = kind.depth(policy)
    cameras = tuple(CameraInput(n, sizes[n][0], sizes[n][1], deep) for n in names)
    places = kind.looks(policy)
    if places:
        cameras = (CameraInput(ROVING, cameras[0].height, cameras[0].width),)
    return InputSpec(
        source.robot, cameras, horizon, kind.history(policy), past_actions=kind.past(policy), places=places
    )


def seen_in_data(spec: InputSpec) -> tuple[CameraInput, ...]:
    """The cameras of the training data: each place of one that roves has its own."""
    if not spec.places:
        return spec.cameras
    (camera,) = spec.cameras
    return tuple(replace(camera, name=place) for place in spec.places)


def _shapes(
    table: SampleTable, texts: Texts, codec: ActionCodec | None, policy: PolicyConfig
) -> PolicyShapes:
    _, cameras, _, height, width = table.images.shape
    places = len(kind_of(policy).looks(policy))
    levels = codec.tokens_per_chunk if codec else 0
    if levels is None:
        raise ConfigError(
            "a head that speaks codes needs a codec with a fixed number of codes a chunk",
            where="--codec",
            got="variable",
        )
    return PolicyShapes(
        1 if places else cameras,
        height,
        width,
        table.state.shape[1],
        texts.size,
        *table.chunks.shape[1:],
        levels=levels,
        codebook_size=codec.vocab_size if codec else 0,
        history=kind_of(policy).history(policy),
        past=kind_of(policy).past(policy),
        places=places,
        depth=kind_of(policy).depth(policy),
        velocity=kind_of(policy).velocity(policy),
        text_length=texts.length,
    )


def _describe(
    network: nn.Module, table: SampleTable, result: FitResult, config: FinetuneConfig, told: Code
) -> tuple[dict[str, Any], list[Section]]:
    parameters = sum(p.numel() for p in network.parameters())
    history = {name: values for name, values in result.history.items() if name != "learning_rate"}
    last = {name: values[-1][1] for name, values in history.items() if values}
    summary = {
        "parameters": parameters,
        "samples": len(table),
        "wordings": len(table.texts),
        "steps": config.fit.steps,
        "policy": name_of(config.policy),
        "head": getattr(config.policy, "head", "parallel"),
        **{k: round(v, 5) for k, v in last.items()},
    }
    curves = [
        LineChart(
            f"Training {name.replace('_', ' ')}",
            (Line(name, tuple(float(s) for s, _ in values), tuple(v for _, v in values)),),
            x_label="step",
        )
        for name, values in history.items()
        if len(values) > 1
    ]
    rows = tuple(
        (k.replace("_", " "), f"{v:,}" if isinstance(v, int) else str(v)) for k, v in summary.items()
    )
    said = (Text("What the policy is told with one of the instructions:"), told)
    return summary, [Section("Policy training", (Table(("", "value"), rows), *curves, *said))]
