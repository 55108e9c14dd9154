"""The training behind `fit_vqvae`: chunks in, codec out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_data.fit import FitResult, fit
from vla_data.normalize import Normalizer
from vla_data.protocols import OnProgress
from vla_ts.chunk_batches import ChunkBatches, ChunkTable
from vla_ts.fit import FitVqvaeConfig
from vla_ts.networks import ChunkNetwork, NetworkShape
from vla_ts.padding import DimLayout
from vla_ts.quantizers import make_quantizer
from vla_ts.trajectories import Trajectories
from vla_ts.vqvae import Embodiment, Mixture, VqVaeCodec

__all__ = ["ChunkTable", "ChunkTraining", "train_vqvae"]


class Units(nn.Module):
    """What a squared error in normalised numbers is in physical units.

    Args:
        embodiments: whose numbers.
        layout: the columns they stand in; None for their own order.
        mode: of their normalisers.
    """

    mask: Tensor
    weight: Tensor

    def __init__(
        self, embodiments: Sequence[Embodiment], layout: DimLayout | None, config: FitVqvaeConfig
    ) -> None:
        super().__init__()
        self.names = sorted({d.unit or "unitless" for e in embodiments for d in e.spec.dims})
        width = layout.width if layout else embodiments[0].spec.dim
        weight = np.zeros((len(embodiments), width, len(self.names)), np.float32)
        for i, e in enumerate(embodiments):
            one = Normalizer(e.stats, config.norm).denormalize(
                np.array([[0], [1]], np.float32).repeat(e.spec.dim, 1)
            )
            places = layout.places(e.spec) if layout else range(e.spec.dim)
            for j, (place, dim) in enumerate(zip(places, e.spec.dims, strict=True)):
                weight[i, place, self.names.index(dim.unit or "unitless")] = (
                    (one[1] - one[0])[j] * dim.scale
                ) ** 2
        self.register_buffer("weight", torch.from_numpy(weight), persistent=False)
        self.register_buffer("mask", torch.from_numpy((weight > 0).any(2)), persistent=False)

    def forward(self, squared_BTA: Tensor, who_B: Tensor) -> dict[str, Tensor]:
        """RMSE of a batch over the numbers of each unit."""
        weight_BAU = self.weight[who_B]
        total_U = (squared_BTA.mean(1).unsqueeze(-1) * weight_BAU).sum((0, 1))
        rmse_U = (total_U / (weight_BAU > 0).sum((0, 1)).clamp(min=1)).sqrt()
        return {f"rmse_{name}": rmse for name, rmse in zip(self.names, rmse_U, strict=True)}


class ChunkTraining(nn.Module):
    """Network and quantiser in training; the codebooks move to the network at the end.

    Args:
        network, shape: what is trained.
        quantizer: what stands between encoder and decoder.
        units: masks what an embodiment lacks, and gives errors their physical unit.
        config: see `FitVqvaeConfig`.
    """

    def __init__(
        self,
        network: ChunkNetwork,
        shape: NetworkShape,
        quantizer: nn.Module,
        units: Units,
        config: FitVqvaeConfig,
    ) -> None:
        super().__init__()
        self.network, self.quantizer, self.units = network, quantizer, units
        self.shape = shape
        self.learnt = bool(shape.encoder_hidden)
        self.commitment = config.commitment if self.learnt else 0.0
        self.prefix_share = config.prefix_share
        # Codebooks are averages: without encoder and decoder the optimiser would have nothing to hold.
        self.nothing = nn.Parameter(torch.zeros(()))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared error over the numbers there are, normalised; beside it, what it is in physical units."""
        x_BD, who_B = batch["x"], batch["who"]
        z_BD = self.network.encoder(x_BD)
        parts_LBD, commitment = self.quantizer(z_BD)
        said_BD = (parts_LBD * self._given(x_BD)).sum(0)
        if self.learnt and not said_BD.requires_grad:
            said_BD = z_BD + (said_BD - z_BD).detach()
        size = (self.shape.action_horizon, self.shape.action_dim)
        squared_BTA = (self.network.decoder(said_BD) - x_BD).square().unflatten(1, size)
        mask_B1A = self.units.mask[who_B].unsqueeze(1)
        error = (squared_BTA * mask_B1A).sum() / (mask_B1A.sum() * size[0])
        physical = self.units(squared_BTA.detach(), who_B)
        loss = error + self.commitment * commitment + 0 * self.nothing
        return {"loss": loss, "error": error.detach(), **physical}

    def _given(self, x_BD: Tensor) -> Tensor:
        """1 for the levels the decoder is given, [L, B, 1]: all, or for some chunks only the first few."""
        count, levels = len(x_BD), self.shape.levels
        level_L1 = torch.arange(levels, device=x_BD.device).unsqueeze(1)
        some_B = torch.rand(count, device=x_BD.device) < self.prefix_share
        depth_B = torch.randint(1, levels + 1, (count,), device=x_BD.device)
        return (level_L1 < torch.where(some_B, depth_B, levels)).unsqueeze(-1).to(x_BD.dtype)

    @torch.no_grad()
    def hand_over(self) -> None:
        """Copy the codebooks to the network."""
        self.network.codebooks.copy_(self.quantizer.codebooks())  # type: ignore[operator]


def train_vqvae(
    data: Trajectories | Sequence[Trajectories], config: FitVqvaeConfig, out: Path, on_progress: OnProgress
) -> tuple[VqVaeCodec, FitResult]:
    """A codec fitted to all of `data`; metrics and resume states go to `out`.

    Data sets of several robots give one codec that serves them all; it comes as that of the first.

    Raises:
        ConfigError: control rates differ, two data sets have one name, or the settings contradict each other
            or the data.
    """
    members = [data] if isinstance(data, Trajectories) else list(data)
    _require_agreement(members, config)
    layout = DimLayout.of([m.spec for m in members]) if len(members) > 1 else None
    embodiments = [Embodiment(m.spec, m.stats()) for m in members]
    width = layout.width if layout else members[0].spec.dim
    shape = _shape(config, width)
    batches = ChunkBatches(members, embodiments, layout, config)
    torch.manual_seed(config.fit.seed)
    network = ChunkNetwork(shape)
    columns = layout.columns if layout else tuple(d.quantity for d in members[0].spec.dims)
    grippers = tuple(i for i, quantity in enumerate(columns) if quantity == "gripper")
    quantizer = make_quantizer(config, shape, batches.spread(), grippers)
    training = ChunkTraining(network, shape, quantizer, Units(embodiments, layout, config), config)
    result = fit(training, batches, config.fit, out, on_progress, stage="fit-vqvae")
    training.hand_over()
    mixture = (
        Mixture(layout, dict(zip([m.name for m in members], embodiments, strict=True))) if layout else None
    )
    first = embodiments[0]
    return VqVaeCodec(network, shape, first.spec, first.stats, config.norm, mixture), result


def _shape(config: FitVqvaeConfig, width: int) -> NetworkShape:
    return NetworkShape(
        config.action_horizon,
        width,
        config.levels,
        config.codebook_size,
        config.encoder_hidden,
        config.decoder_hidden,
        config.encoder,
        config.decoder,
    )


def _require_agreement(members: Sequence[Trajectories], config: FitVqvaeConfig) -> None:
    rates = {m.name: m.spec.control_hz for m in members}
    if len(rates) < len(members):
        raise ConfigError("two data sets of one name", where="--data", got=", ".join(m.name for m in members))
    if config.shares and len(config.shares) != len(members):
        raise ConfigError(
            "a share is needed for every data set, or none",
            where="shares",
            expected=str(len(members)),
            got=str(len(config.shares)),
        )
    if len(set(rates.values())) > 1:
        raise ConfigError(
            "data sets of different control rates",
            where="--data",
            expected="one clock",
            got=", ".join(f"{name} {hz:g} Hz" for name, hz in rates.items()),
            next_step="bring them to one with --hz",
        )
