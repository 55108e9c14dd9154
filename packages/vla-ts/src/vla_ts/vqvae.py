"""`VqVaeCodec`: a chunk of actions as a few codes, coarse to fine.

- a chunk is normalised per dimension, encoded to a latent of its own size, and quantised level by level:
  each level's codebook says what the levels before it left over (residual vector quantisation, as in
  SoundStream, Zeghidour et al. 2021, arXiv:2107.03312), so a chunk's first codes decode to a coarser chunk
- a codec fitted to several robots has one network and one set of codebooks; each robot keeps its own spec
  and statistics, and its numbers have places among the network's columns (`vla_ts.padding`)
- networks are in `vla_ts.networks`, quantisers in training in `vla_ts.quantizers`; what is here needs torch
  alone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import load_weights, save_weights
from vla_data.normalize import Normalizer, NormMode, NormStats
from vla_data.registry import lookup
from vla_data.types import ActionSpec
from vla_ts.checks import check_chunks, check_codes
from vla_ts.networks import ChunkNetwork, IdentityPlus, NetworkShape
from vla_ts.padding import DimLayout
from vla_ts.storage import WEIGHTS, read_config, writing_codec

__all__ = ["BATCH", "ChunkNetwork", "Embodiment", "IdentityPlus", "Mixture", "NetworkShape", "VqVaeCodec"]

KIND = "vqvae"
BATCH = 4096  # chunks coded at once: bounds the [batch, codebook] distances in memory


@dataclass(frozen=True)
class Embodiment:
    """A robot of a codec: what its actions mean, and their statistics."""

    spec: ActionSpec
    stats: NormStats


@dataclass(frozen=True)
class Mixture:
    """The robots that share a codec, by the names of their data sets, and where their numbers stand."""

    layout: DimLayout
    members: Mapping[str, Embodiment]


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
        mixture: the robots that share the network, where there are several; `spec` is of one of them.
    """

    def __init__(
        self,
        network: ChunkNetwork,
        shape: NetworkShape,
        spec: ActionSpec,
        stats: NormStats,
        mode: NormMode,
        mixture: Mixture | None = None,
    ) -> None:
        columns = mixture.layout.width if mixture else spec.dim
        if not (spec.dim == stats.dim and columns == shape.action_dim):
            raise ConfigError(
                "spec, statistics and network of a codec differ in width",
                expected=f"action_dim {spec.dim}",
                got=f"statistics {stats.dim}, network {shape.action_dim}",
            )
        self._network, self._shape, self._spec = network.eval(), shape, spec
        self._normalizer, self._mixture = Normalizer(stats, mode), mixture
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

    @property
    def embodiments(self) -> tuple[str, ...]:
        """The robots that share this codec, by their data sets; none where it is of one."""
        return tuple(self._mixture.members) if self._mixture else ()

    def of_embodiment(self, name: str) -> VqVaeCodec:
        """This codec for another of its robots: the same network and codes.

        Raises:
            UnknownNameError: it knows no such embodiment.
        """
        mixture = self._mixture
        own = lookup("embodiment", mixture.members if mixture else {}, name)
        return VqVaeCodec(self._network, self._shape, own.spec, own.stats, self._normalizer.mode, mixture)

    def require_spec(self, spec: ActionSpec, where: str) -> None:
        """Raise SpecMismatchError unless `spec` means what this codec's actions mean."""
        self._spec.require_same(spec, where)

    @torch.inference_mode()
    def encode(self, chunks: Float32[np.ndarray, "n horizon dim"]) -> Int64[np.ndarray, "n tokens"]:
        """Chunks to codes [N, levels]. Raises DataError on another shape, NaN or infinity."""
        check_chunks(chunks, self.action_horizon, self._spec, KIND)
        x_NTA = self._normalizer.normalize(chunks)
        if self._mixture is not None:
            x_NTA = self._mixture.layout.pad(x_NTA, self._spec)[0]
        x_ND = x_NTA.reshape(len(chunks), self._shape.latent)
        parts = [self._network.encode(x.to(self._device)).cpu() for x in torch.from_numpy(x_ND).split(BATCH)]
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def decode(self, codes: Int64[np.ndarray, "n tokens"]) -> Float32[np.ndarray, "n horizon dim"]:
        """Codes [N, 1 … levels] to chunks within the spec's limits. Raises DataError on bad codes."""
        check_codes(codes, range(1, self.levels + 1), self.codebook_size, KIND)
        rows = torch.from_numpy(np.array(codes, np.int64)).split(BATCH)
        x_ND = torch.cat([self._network.decode(c.to(self._device)).cpu() for c in rows]).numpy()
        x_NTA = x_ND.reshape(len(codes), self.action_horizon, self._shape.action_dim)
        if self._mixture is not None:
            x_NTA = self._mixture.layout.unpad(x_NTA, self._spec)
        return self._normalizer.denormalize(x_NTA).clip(self._spec.low, self._spec.high)

    def decodable(self, codes: Int64[np.ndarray, "n tokens"]) -> Bool[np.ndarray, "n"]:
        """Which rows are codes of a chunk: all, whatever their codes."""
        check_codes(codes, range(1, self.levels + 1), self.codebook_size, KIND)
        return np.ones(len(codes), bool)

    def save(self, directory: Path) -> None:
        """Write a directory that `load` reads, whole or not at all."""
        config = {
            "network": to_dict(self._shape),
            **_as_dict(Embodiment(self._spec, self._normalizer.stats)),
            "norm_mode": self._normalizer.mode,
        }
        if self._mixture is not None:
            members = {name: _as_dict(own) for name, own in self._mixture.members.items()}
            config["mixture"] = {"columns": list(self._mixture.layout.columns), "members": members}
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
        own = _embodiment(config, str(directory))
        mixture = None
        if "mixture" in config:
            found = config["mixture"]
            layout = from_dict(DimLayout, {"columns": found["columns"]}, f"{directory}: mixture")
            members = {k: _embodiment(v, f"{directory}: {k}") for k, v in found["members"].items()}
            mixture = Mixture(layout, members)
        return cls(network, shape, own.spec, own.stats, mode, mixture)


def _as_dict(own: Embodiment) -> dict[str, Any]:
    return {"spec": to_dict(own.spec), "norm_stats": to_dict(own.stats)}


def _embodiment(values: Mapping[str, Any], where: str) -> Embodiment:
    spec = from_dict(ActionSpec, values["spec"], f"{where}: spec")
    return Embodiment(spec, from_dict(NormStats, values["norm_stats"], f"{where}: norm_stats"))
