"""The training behind `fit_vqvae`: chunks in, codec out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from vla_data.chunks import pad_actions
from vla_data.errors import DataError
from vla_data.fit import FitResult, fit
from vla_data.normalize import Normalizer, NormStats
from vla_data.protocols import EpisodeSource, OnProgress, Progress
from vla_data.report import Section
from vla_ts.bins import UniformBinsCodec
from vla_ts.fit import FitVqvaeConfig
from vla_ts.quality import describe, measure
from vla_ts.storage import SUBDIRECTORY
from vla_ts.vqvae import ChunkNetwork, NetworkShape, VqVaeCodec

FIRST_BATCH = 4096  # the codebooks start as the k-means centres of the first batch
DEAD_SHARE = 0.1  # a code used less than this share of the average is replaced


class ChunkTable:
    """Every chunk of some episodes, without holding each action `horizon` times."""

    def __init__(self, actions: list[np.ndarray], horizon: int) -> None:
        padded = [pad_actions(a, horizon) for a in actions]
        begins = np.cumsum([0, *(len(p) for p in padded[:-1])])
        self.rows = np.concatenate(padded)
        self.starts = np.concatenate([b + np.arange(len(a)) for b, a in zip(begins, actions, strict=True)])
        self.offsets = np.arange(horizon)

    def __len__(self) -> int:
        return len(self.starts)

    def chunks(self, index: np.ndarray) -> Float32[np.ndarray, "n horizon dim"]:
        """The chunks at these places."""
        return self.rows[self.starts[index][:, None] + self.offsets]


class ResidualTraining(nn.Module):
    """Network and quantiser in training; the codebooks move to the network at the end."""

    def __init__(self, network: ChunkNetwork, shape: NetworkShape, config: FitVqvaeConfig) -> None:
        from vector_quantize_pytorch import ResidualVQ

        super().__init__()
        self.network = network
        self.quantizer = ResidualVQ(
            dim=shape.latent,
            num_quantizers=shape.levels,
            codebook_size=shape.codebook_size,
            kmeans_init=True,
            decay=config.codebook_decay,
            commitment_weight=1.0,
            # In units of codes a batch: with the library's fixed 2, a batch twice the codebook keeps
            # replacing codes that are in healthy use.
            threshold_ema_dead_code=DEAD_SHARE * config.fit.batch_size / shape.codebook_size,
        )
        self.commitment = config.commitment if shape.encoder_hidden else 0.0

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x_BD = batch["x"]
        quantized_BD, _, commitment = self.quantizer(self.network.encoder(x_BD))
        error = (self.network.decoder(quantized_BD) - x_BD).square().mean()
        return {"loss": error + self.commitment * commitment.sum(), "error": error.detach()}

    @torch.no_grad()
    def hand_over(self) -> None:
        """Copy the codebooks to the network."""
        books = self.quantizer.codebooks
        assert isinstance(books, Tensor)
        self.network.codebooks.copy_(books)


class _Batches:
    def __init__(self, table: ChunkTable, normalizer: Normalizer, config: FitVqvaeConfig) -> None:
        self.table, self.normalizer, self.fit = table, normalizer, config.fit
        self.first = max(config.fit.batch_size, min(FIRST_BATCH, len(table)), config.codebook_size)

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.fit.seed, step))
        index = rng.integers(0, len(self.table), self.fit.batch_size if step else self.first)
        x = self.normalizer.normalize(self.table.chunks(index))
        return {"x": torch.from_numpy(x.reshape(len(x), -1))}


def train_codec(
    source: EpisodeSource, config: FitVqvaeConfig, out: Path, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    """Read, split, train, save, measure; see `vla_ts.fit.fit_vqvae`."""
    actions = read_actions(source, on_progress)
    learnt, held_out = split(actions, config.holdout, config.fit.seed)
    stats = NormStats.of(learnt, f"actions of {source.name}")
    codec, result = _train(source, learnt, stats, config, out, on_progress)
    codec.save(out / SUBDIRECTORY)
    bins = UniformBinsCodec(source.robot.action, config.action_horizon, stats, config.bins)
    measured = held_out or learnt
    table = ChunkTable(measured, config.action_horizon)
    chunks = table.chunks(np.arange(len(table)))
    qualities = [measure("VQ-VAE", codec, chunks, stats), measure("uniform bins", bins, chunks, stats)]
    return describe(qualities, codec, measured[0], result, (len(learnt), len(held_out)))


def read_actions(source: EpisodeSource, on_progress: OnProgress) -> list[np.ndarray]:
    """The actions of every episode, decoding no image where the source can do without."""
    read = getattr(source, "read_series", source.__getitem__)
    width = source.robot.action.dim
    actions = []
    for i in range(len(source)):
        action = np.asarray(read(i).action, np.float32)
        if action.shape[1:] != (width,) or not np.isfinite(action).all():
            raise DataError(
                "an episode's actions are not what its robot takes",
                where=f"{source.name}, episode {i}",
                expected=f"finite [T, {width}]",
                got=f"{list(action.shape)}, {int((~np.isfinite(action)).sum())} values NaN or infinite",
                next_step="vla data inspect shows which episodes hold them",
            )
        if len(action):
            actions.append(action)
        on_progress(Progress("read actions", i + 1, len(source), "episodes"))
    if not actions:
        raise DataError(
            "there is no action to learn from", where=source.name, expected="one episode at least"
        )
    return actions


def split(actions: list[np.ndarray], share: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Whole episodes to learn from and to measure on; one at least of each where there are two."""
    count = min(len(actions) - 1, max(1, round(share * len(actions)))) if share > 0 else 0
    order = np.random.default_rng(seed).permutation(len(actions))
    held = set(order[:count].tolist())
    return [a for i, a in enumerate(actions) if i not in held], [actions[i] for i in sorted(held)]


def _train(
    source: EpisodeSource,
    actions: list[np.ndarray],
    stats: NormStats,
    config: FitVqvaeConfig,
    out: Path,
    on_progress: OnProgress,
) -> tuple[VqVaeCodec, FitResult]:
    shape = NetworkShape(
        config.action_horizon,
        source.robot.action.dim,
        config.levels,
        config.codebook_size,
        config.encoder_hidden,
        config.decoder_hidden,
    )
    torch.manual_seed(config.fit.seed)
    network = ChunkNetwork(shape)
    training = ResidualTraining(network, shape, config)
    batches = _Batches(ChunkTable(actions, config.action_horizon), Normalizer(stats, config.norm), config)
    result = fit(training, batches, config.fit, out, on_progress, stage="fit-vqvae")
    training.hand_over()
    return VqVaeCodec(network, shape, source.robot.action, stats, config.norm), result
