"""The training behind `fit_vqvae`: chunks in, codec out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from vla_data.chunks import pad_actions
from vla_data.errors import ConfigError
from vla_data.fit import FitResult, fit
from vla_data.normalize import Normalizer, NormStats
from vla_data.protocols import EpisodeSource, OnProgress
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_ts.bins import UniformBinsCodec
from vla_ts.fit import FitVqvaeConfig
from vla_ts.networks import ChunkNetwork, NetworkShape
from vla_ts.padding import DimLayout
from vla_ts.pages import describe
from vla_ts.quality import measure
from vla_ts.quantizers import make_quantizer
from vla_ts.storage import SUBDIRECTORY
from vla_ts.trajectories import Trajectories, read_trajectories
from vla_ts.vqvae import Embodiment, VqVaeCodec

FIRST_BATCH = 4096  # the codebooks start as the k-means centres of the first batch,
FIRST_PER_CODE = 10  # of more where there are many codes


class ChunkTable:
    """Every chunk of some episodes, without holding each action `horizon` times.

    Args:
        actions: [T, dim] each.
        horizon: steps in a chunk.
        padded: also chunks that reach past the end of an episode, whose last row is then repeated; without
            them only an episode shorter than a chunk is.
    """

    def __init__(self, actions: list[np.ndarray], horizon: int, padded: bool = True) -> None:
        rows = [pad_actions(a, horizon) for a in actions]
        begins = np.cumsum([0, *(len(p) for p in rows[:-1])])
        counts = [len(a) if padded else max(1, len(a) - horizon + 1) for a in actions]
        self.rows = np.concatenate(rows)
        self.starts = np.concatenate([b + np.arange(n) for b, n in zip(begins, counts, strict=True)])
        self.offsets = np.arange(horizon)

    def __len__(self) -> int:
        return len(self.starts)

    def chunks(self, index: np.ndarray) -> Float32[np.ndarray, "n horizon dim"]:
        """The chunks at these places."""
        return self.rows[self.starts[index][:, None] + self.offsets]


class ChunkBatches:
    """Batch number → normalised chunks of all embodiments, `who` they are of; a pure function of the step.

    Every chunk is drawn equally often, so a data set counts by its size.
    """

    def __init__(
        self,
        data: Sequence[Trajectories],
        embodiments: Sequence[Embodiment],
        layout: DimLayout | None,
        config: FitVqvaeConfig,
    ) -> None:
        self.tables = [ChunkTable(list(d.episodes), config.action_horizon, config.padded) for d in data]
        self.embodiments, self.layout, self.config = embodiments, layout, config
        self.ends = np.cumsum([len(t) for t in self.tables])
        most = max(FIRST_BATCH, FIRST_PER_CODE * config.codebook_size)
        self.first = max(config.fit.batch_size, min(most, int(self.ends[-1])), config.codebook_size)

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.fit.seed, step))
        places = rng.integers(0, self.ends[-1], self.config.fit.batch_size if step else self.first)
        who = np.searchsorted(self.ends, places, side="right")
        parts = [self._chunks(i, places[who == i]) for i in range(len(self.tables))]
        x = np.empty((len(places), *parts[0].shape[1:]), np.float32)
        for i, part in enumerate(parts):
            x[who == i] = part
        return {"x": torch.from_numpy(x.reshape(len(x), -1)), "who": torch.from_numpy(who)}

    def _chunks(self, i: int, places: np.ndarray) -> np.ndarray:
        own = self.embodiments[i]
        chunks = self.tables[i].chunks(places - (self.ends[i - 1] if i else 0))
        x = Normalizer(own.stats, self.config.norm).normalize(chunks)
        return x if self.layout is None else self.layout.pad(x, own.spec)[0]


class ChunkTraining(nn.Module):
    """Network and quantiser in training; the codebooks move to the network at the end.

    Args:
        network, shape: what is trained.
        quantizer: what stands between encoder and decoder.
        units: see `_units`; masks what an embodiment lacks, and gives errors their physical unit.
        config: see `FitVqvaeConfig`.
    """

    mask: Tensor
    scale: Tensor

    def __init__(
        self,
        network: ChunkNetwork,
        shape: NetworkShape,
        quantizer: nn.Module,
        units: tuple[np.ndarray, np.ndarray, list[list[str]]],
        config: FitVqvaeConfig,
    ) -> None:
        super().__init__()
        self.network, self.quantizer = network, quantizer
        mask, scale, self.names = units
        self.register_buffer("mask", torch.from_numpy(mask).repeat(1, shape.action_horizon), persistent=False)
        self.register_buffer("scale", torch.from_numpy(scale), persistent=False)
        self.learnt = bool(shape.encoder_hidden)
        self.commitment = config.commitment if self.learnt else 0.0
        self.prefix_share, self.levels = config.prefix_share, shape.levels

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x_BD, who_B = batch["x"], batch["who"]
        z_BD = self.network.encoder(x_BD)
        parts_LBD, commitment = self.quantizer(z_BD)
        said_BD = (parts_LBD * self._depths(len(x_BD), x_BD.device)).sum(0)
        if self.learnt and not said_BD.requires_grad:
            said_BD = z_BD + (said_BD - z_BD).detach()
        squared_BD = (self.network.decoder(said_BD) - x_BD).square() * self.mask[who_B]
        error = squared_BD.sum() / self.mask[who_B].sum()
        return {
            "loss": error + self.commitment * commitment,
            "error": error.detach(),
            **self._physical(squared_BD.detach(), who_B),
        }

    def _depths(self, count: int, device: torch.device) -> Tensor:
        """1 for the levels that are given to the decoder, [L, B, 1]: all, or for some chunks the first few."""
        some = torch.rand(count, device=device) < self.prefix_share
        depth_B = torch.where(some, torch.randint(1, self.levels + 1, (count,), device=device), self.levels)
        level_L = torch.arange(self.levels, device=device)
        return (level_L[:, None] < depth_B).unsqueeze(-1).float()

    def _physical(self, squared_BD: Tensor, who_B: Tensor) -> dict[str, Tensor]:
        """RMSE per physical unit, over the numbers that have it."""
        found: dict[str, list[Tensor]] = {}
        mean_EA = [squared_BD[who_B == i].unflatten(1, (-1, self.scale.shape[1])).mean((0, 1))
                   for i in range(len(self.names))]
        for mean_A, scale_A, names in zip(mean_EA, self.scale, self.names, strict=True):
            for value, scale, name in zip(mean_A, scale_A, names, strict=True):
                if name:
                    found.setdefault(f"rmse_{name}", []).append(value * scale.square())
        return {k: torch.stack(v).nanmean().sqrt() for k, v in found.items()}

    @torch.no_grad()
    def hand_over(self) -> None:
        """Copy the codebooks to the network."""
        self.network.codebooks.copy_(self.quantizer.codebooks())  # type: ignore[operator]
