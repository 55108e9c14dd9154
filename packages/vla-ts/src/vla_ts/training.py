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
from vla_data.fit import FitResult, fit
from vla_data.normalize import Normalizer, NormStats
from vla_data.protocols import EpisodeSource, OnProgress
from vla_data.report import Section
from vla_ts.bins import UniformBinsCodec
from vla_ts.fit import FitVqvaeConfig
from vla_ts.pages import describe
from vla_ts.quality import measure
from vla_ts.storage import SUBDIRECTORY
from vla_ts.trajectories import Trajectories, read_trajectories
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
    learnt, held_out = read_trajectories(source, on_progress=on_progress).split(
        config.holdout, config.fit.seed
    )
    codec, result = train_vqvae(learnt, config, out, on_progress)
    codec.save(out / SUBDIRECTORY)
    stats, measured = codec.norm_stats, held_out if held_out.episodes else learnt
    bins = UniformBinsCodec(learnt.spec, config.action_horizon, stats, config.bins)
    chunks, known = (_policy_chunks(t, config.action_horizon) for t in (measured, learnt))
    qualities = [measure(n, c, chunks, stats, known) for n, c in (("VQ-VAE", codec), ("uniform bins", bins))]
    counts = (len(learnt.episodes), len(held_out.episodes))
    curve = result.history["error"]
    return describe(qualities, codec, measured.episodes[0], counts, curve, result.seconds)


def train_vqvae(
    data: Trajectories, config: FitVqvaeConfig, out: Path, on_progress: OnProgress
) -> tuple[VqVaeCodec, FitResult]:
    """A codec fitted to all of `data`; metrics and resume states go to `out`."""
    stats = NormStats.of(data.episodes, f"actions of {data.name}")
    shape = NetworkShape(
        config.action_horizon,
        data.spec.dim,
        config.levels,
        config.codebook_size,
        config.encoder_hidden,
        config.decoder_hidden,
    )
    torch.manual_seed(config.fit.seed)
    network = ChunkNetwork(shape)
    training = ResidualTraining(network, shape, config)
    table = ChunkTable(list(data.episodes), config.action_horizon)
    batches = _Batches(table, Normalizer(stats, config.norm), config)
    result = fit(training, batches, config.fit, out, on_progress, stage="fit-vqvae")
    training.hand_over()
    return VqVaeCodec(network, shape, data.spec, stats, config.norm), result


def _policy_chunks(data: Trajectories, horizon: int) -> np.ndarray:
    """The chunks a policy trains on: one at every step, padded at the end."""
    table = ChunkTable(list(data.episodes), horizon)
    return table.chunks(np.arange(len(table)))
