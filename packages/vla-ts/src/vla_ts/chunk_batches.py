"""Chunks to train on, drawn from the trajectories of one robot or of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from vla_data.chunks import pad_actions
from vla_data.normalize import Normalizer
from vla_data.types import ActionSpec
from vla_ts.fit import FitVqvaeConfig
from vla_ts.padding import DimLayout
from vla_ts.trajectories import Trajectories
from vla_ts.vqvae import Embodiment

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

    Every chunk is drawn equally often, so a data set counts by its size, unless `config.shares` says more.
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
        different = int(self.ends[-1]) * (2 if config.rescale else 1)
        self.first = max(config.fit.batch_size, min(most, different), config.codebook_size)

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.fit.seed, step))
        count = self.config.fit.batch_size if step else self.first
        if not self.config.shares:
            return self._at(rng.integers(0, self.ends[-1], count), rng)
        shares = np.array(self.config.shares)
        sizes = np.array([len(t) for t in self.tables])
        who = rng.choice(len(shares), count, p=shares / shares.sum())
        return self._at((self.ends - sizes)[who] + (rng.random(count) * sizes[who]).astype(int), rng)

    def spread(self) -> Tensor:
        """Different chunks of all embodiments, normalised [N, latent]: all, or as many as the first batch."""
        count = min(int(self.ends[-1]), self.first)
        return self._at(np.arange(count) * int(self.ends[-1]) // count)["x"]

    def _at(self, places: np.ndarray, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        who = np.searchsorted(self.ends, places, side="right")
        parts = [self._chunks(i, places[who == i], rng) for i in range(len(self.tables))]
        x = np.empty((len(places), *parts[0].shape[1:]), np.float32)
        for i, part in enumerate(parts):
            x[who == i] = part
        return {"x": torch.from_numpy(x.reshape(len(x), -1)), "who": torch.from_numpy(who)}

    def _chunks(self, i: int, places: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        own = self.embodiments[i]
        chunks = self.tables[i].chunks(places - (self.ends[i - 1] if i else 0))
        if self.config.rescale and rng is not None:
            chunks = rescaled(chunks, own.spec, self.config.rescale, rng)
        x = Normalizer(own.stats, self.config.norm).normalize(chunks)
        return x if self.layout is None else self.layout.pad(x, own.spec)[0]


def rescaled(
    chunks: Float32[np.ndarray, "n horizon dim"], spec: ActionSpec, spread: float, rng: np.random.Generator
) -> Float32[np.ndarray, "n horizon dim"]:
    """Half of the chunks larger or smaller, each dimension by a log-normal factor of its own, within limits.

    Deltas and velocities grow from 0, absolute values from their mean in the chunk; grippers stay.
    """
    shape = (len(chunks), 1, spec.dim)
    factor = np.exp(spread * rng.standard_normal(shape))
    moves = np.array([d.quantity != "gripper" for d in spec.dims])
    factor = np.where(moves & (rng.random((len(chunks), 1, 1)) < 0.5), factor, 1.0)
    absolute = np.array([d.mode == "absolute" for d in spec.dims])
    middle = np.where(absolute, chunks.mean(1, keepdims=True), 0)
    return (middle + factor * (chunks - middle)).clip(spec.low, spec.high).astype(np.float32)
