"""`VqVaeCodec`: a chunk of actions as a few residual codes.

- a chunk is normalised per dimension, encoded to a latent of its own size, and quantised level by level:
  each level's codebook says what the levels before it left over (residual vector quantisation, as in
  SoundStream, Zeghidour et al. 2021, arXiv:2107.03312), so a chunk's first codes decode to a coarser chunk
- encoder and decoder are the identity plus a small perceptron: training starts from plain residual
  quantisation, which is already a good codec of smooth actions, and can only add to it
- codebooks are learnt by `vla_ts.training`; what is here needs torch alone
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import load_weights, save_weights
from vla_data.normalize import Normalizer, NormMode, NormStats
from vla_data.types import ActionSpec
from vla_ts.checks import check_chunks, check_codes
from vla_ts.storage import WEIGHTS, read_config, writing_codec

KIND = "vqvae"
BATCH = 4096  # chunks coded at once: bounds the [batch, codebook] distances in memory


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a network: the chunk, the codebooks, and the hidden layers (none: the identity alone)."""

    action_horizon: int
    action_dim: int
    levels: int
    codebook_size: int
    encoder_hidden: tuple[int, ...] = ()
    decoder_hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = (self.action_horizon, self.action_dim, self.levels, self.codebook_size)
        if min(*sizes, *self.encoder_hidden, *self.decoder_hidden) < 1 or self.codebook_size < 2:
            raise ConfigError("sizes of a codec must be positive, codebooks of two or more", got=str(self))

    @property
    def latent(self) -> int:
        """Numbers in a chunk, and in its latent."""
        return self.action_horizon * self.action_dim


class IdentityPlus(nn.Module):
    """x + perceptron(x), the perceptron starting at zero; without hidden layers just x."""

    def __init__(self, size: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, wider in zip((size, *hidden), hidden, strict=False):
            layers += [nn.Linear(width, wider), nn.GELU()]
        self.added = nn.Sequential(*layers, nn.Linear(hidden[-1], size)) if hidden else None
        if self.added is not None:
            last = self.added[-1]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD if self.added is None else x_BD + self.added(x_BD)


class ChunkNetwork(nn.Module):
    """Encoder, codebooks [levels, codebook_size, latent] and decoder over normalised chunks [B, latent]."""

    codebooks: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.encoder = IdentityPlus(shape.latent, shape.encoder_hidden)
        self.decoder = IdentityPlus(shape.latent, shape.decoder_hidden)
        self.register_buffer("codebooks", torch.zeros(shape.levels, shape.codebook_size, shape.latent))

    def encode(self, x_BD: Tensor) -> Tensor:
        """Codes int64 [B, levels], each level's the nearest to what the earlier ones left over."""
        left_BD = self.encoder(x_BD)
        codes = []
        for book_KD in self.codebooks:
            # |x - c|² without its constant |x|²; exact distances would need [B, K, D] of memory
            code_B = (book_KD.square().sum(1) - 2 * left_BD @ book_KD.T).argmin(1)
            codes.append(code_B)
            left_BD = left_BD - book_KD[code_B]
        return torch.stack(codes, 1)

    def decode(self, codes_BL: Tensor) -> Tensor:
        """Normalised chunks [B, latent] from the codes of the first levels, one level or more."""
        level_L = torch.arange(codes_BL.shape[1], device=codes_BL.device)
        return self.decoder(self.codebooks[level_L, codes_BL].sum(1))


class VqVaeCodec:
    """An `ActionCodec` of residual codes: int64 [N, levels], each in [0, codebook_size).

    Position i of a chunk's codes is residual level i, coarse to fine, and every level has a codebook of its
    own: code 5 of level 0 and code 5 of level 1 have nothing in common. A policy gives each position a
    categorical head of `vocab_size` = `codebook_size` classes; a model with one flat vocabulary uses
    level × codebook_size + code.

    `decode` also takes fewer columns than levels: the first codes of a chunk decode to a coarser chunk.

    Args:
        network: encoder, codebooks, decoder.
        shape: its sizes.
        spec: what the actions mean; decoded chunks are clipped to its limits.
        stats, mode: the normaliser in front of the network.
    """

    def __init__(
        self, network: ChunkNetwork, shape: NetworkShape, spec: ActionSpec, stats: NormStats, mode: NormMode
    ) -> None:
        if not spec.dim == stats.dim == shape.action_dim:
            raise ConfigError(
                "spec, statistics and network of a codec differ in width",
                expected=f"action_dim {spec.dim}",
                got=f"statistics {stats.dim}, network {shape.action_dim}",
            )
        self._network, self._shape, self._spec = network.eval(), shape, spec
        self._normalizer = Normalizer(stats, mode)
        self._device = network.codebooks.device

    @property
    def spec(self) -> ActionSpec:
        return self._spec

    @property
    def action_horizon(self) -> int:
        return self._shape.action_horizon

    @property
    def vocab_size(self) -> int:
        return self._shape.codebook_size

    @property
    def codebook_size(self) -> int:
        """Codes per level; the same as `vocab_size`."""
        return self._shape.codebook_size

    @property
    def levels(self) -> int:
        """Residual levels; the same as `tokens_per_chunk`."""
        return self._shape.levels

    @property
    def tokens_per_chunk(self) -> int:
        return self._shape.levels

    @property
    def norm_stats(self) -> NormStats:
        return self._normalizer.stats

    def to(self, device: str | torch.device) -> Self:
        """This codec, working on `device` from now on; arrays in and out stay numpy."""
        self._network.to(device)
        self._device = self._network.codebooks.device
        return self

    def require_spec(self, spec: ActionSpec, where: str) -> None:
        """Raise SpecMismatchError unless `spec` means what this codec's actions mean."""
        self._spec.require_same(spec, where)

    @torch.inference_mode()
    def encode(self, chunks: Float32[np.ndarray, "n horizon dim"]) -> Int64[np.ndarray, "n tokens"]:
        """Chunks to codes [N, levels]. Raises DataError on another shape, NaN or infinity."""
        check_chunks(chunks, self.action_horizon, self._spec, KIND)
        x_ND = self._normalizer.normalize(chunks).reshape(len(chunks), self._shape.latent)
        parts = [self._network.encode(x.to(self._device)).cpu() for x in torch.from_numpy(x_ND).split(BATCH)]
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def decode(self, codes: Int64[np.ndarray, "n tokens"]) -> Float32[np.ndarray, "n horizon dim"]:
        """Codes [N, 1 … levels] to chunks within the spec's limits. Raises DataError on bad codes."""
        check_codes(codes, range(1, self.levels + 1), self.codebook_size, KIND)
        rows = torch.from_numpy(np.array(codes, np.int64)).split(BATCH)
        x_ND = torch.cat([self._network.decode(c.to(self._device)).cpu() for c in rows]).numpy()
        chunks = self._normalizer.denormalize(x_ND.reshape(len(codes), self.action_horizon, self._spec.dim))
        return chunks.clip(self._spec.low, self._spec.high)

    def decodable(self, codes: Int64[np.ndarray, "n tokens"]) -> Bool[np.ndarray, "n"]:
        """Which rows are codes of a chunk: all, whatever their codes."""
        check_codes(codes, range(1, self.levels + 1), self.codebook_size, KIND)
        return np.ones(len(codes), bool)

    def save(self, directory: Path) -> None:
        """Write a directory that `load` reads, whole or not at all."""
        config = {
            "network": to_dict(self._shape),
            "spec": to_dict(self._spec),
            "norm_stats": to_dict(self._normalizer.stats),
            "norm_mode": self._normalizer.mode,
        }
        with writing_codec(directory, KIND, config) as part:
            save_weights(self._network, part / WEIGHTS)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The codec of a directory, on the CPU.

        Raises:
            CheckpointError: a file is missing or does not match the manifest, or the weights do not fit.
        """
        config = read_config(directory, KIND)
        shape = from_dict(NetworkShape, config["network"], f"{directory}: network")
        mode = config["norm_mode"]
        if mode not in get_args(NormMode):
            raise CheckpointError("an unknown normaliser", where=str(directory), got=str(mode))
        network = ChunkNetwork(shape)
        load_weights(network, directory / WEIGHTS)
        spec = from_dict(ActionSpec, config["spec"], f"{directory}: spec")
        return cls(
            network, shape, spec, from_dict(NormStats, config["norm_stats"], f"{directory}: norm_stats"), mode
        )
