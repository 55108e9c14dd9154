"""A run of `fit_vqvae`: read, split, train, save, measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.fit import FitResult
from vla_data.protocols import EpisodeSource, OnProgress
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_ts.bins import UniformBinsCodec
from vla_ts.chunk_batches import ChunkTable
from vla_ts.fit import FitVqvaeConfig
from vla_ts.pages import describe
from vla_ts.quality import measure
from vla_ts.storage import SUBDIRECTORY
from vla_ts.training import train_vqvae
from vla_ts.trajectories import Trajectories, read_trajectories
from vla_ts.vqvae import VqVaeCodec


def train_codec(
    sources: Sequence[EpisodeSource],
    config: FitVqvaeConfig,
    out: Path,
    on_progress: OnProgress,
    *,
    skip_corrupt: bool = False,
) -> tuple[dict[str, Any], list[Section]]:
    """See `vla_ts.fit.fit_vqvae`."""
    skipped: list[Skipped] = []
    pairs = [
        read_trajectories(
            source,
            config.series,
            config.hz,
            skip_corrupt=skip_corrupt,
            skipped=skipped,
            on_progress=on_progress,
        ).split(config.holdout, config.fit.seed)
        for source in sources
    ]
    pairs = _distinct(pairs)
    codec, result = train_vqvae([learnt for learnt, _ in pairs], config, out, on_progress)
    codec.save(out / SUBDIRECTORY)
    described = [_measured(codec, learnt, held, config, result) for learnt, held in pairs]
    summary = dict(described[0][0])
    if codec.embodiments:
        summary["embodiments"] = {
            name: own for name, (own, _) in zip(codec.embodiments, described, strict=True)
        }
    if skip_corrupt:
        summary["skipped_episodes"] = len(skipped)
    return summary, [section for _, sections in described for section in sections]


def _distinct(pairs: list[tuple[Trajectories, Trajectories]]) -> list[tuple[Trajectories, Trajectories]]:
    """Data sets of one name by number: metaworld, metaworld-2."""
    names = [learnt.name for learnt, _ in pairs]
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [
        (learnt, held) if not n else (replace(learnt, name=f"{learnt.name}-{n + 1}"), held)
        for n, (learnt, held) in zip(before, pairs, strict=True)
    ]


def _measured(
    codec: VqVaeCodec, learnt: Trajectories, held_out: Trajectories, config: FitVqvaeConfig, result: FitResult
) -> tuple[dict[str, Any], list[Section]]:
    """How good the codec is for one of its robots."""
    several = bool(codec.embodiments)
    own = codec.of_embodiment(learnt.name) if several else codec
    measured = held_out if held_out.episodes else learnt
    bins = UniformBinsCodec(learnt.spec, config.action_horizon, own.norm_stats, config.bins)
    chunks, known = (_chunks(t, config) for t in (measured, learnt))
    named = {"VQ-VAE": own, "uniform bins": bins}
    qualities = [measure(n, c, chunks, own.norm_stats, known) for n, c in named.items()]
    counts = (len(learnt.episodes), len(held_out.episodes))
    curve = result.history["error"]
    summary, sections = describe(qualities, own, measured.episodes[0], counts, curve, result.seconds)
    titled = [replace(s, title=f"{s.title}: {learnt.name}") for s in sections] if several else sections
    return summary, titled


def _chunks(data: Trajectories, config: FitVqvaeConfig) -> np.ndarray:
    """Chunks like those the codec was fitted to, in the order of their episodes."""
    table = ChunkTable(list(data.episodes), config.action_horizon, config.padded)
    return table.chunks(np.arange(len(table)))
