"""Patches of a series to embeddings of a language model's width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_ts.language.series import CHANNELS

FLAT = 1e-3  # of the scale: a patch that varies less is flat


@dataclass(frozen=True)
class SeriesEncoderConfig:
    """Sizes of a `SeriesEncoder`.

    Args:
        width: of the language model's embeddings.
        patch_len: steps in a patch.
        hidden: widths of the perceptron's layers before the last.
        frequencies: of the sines and cosines that say where in its series a patch begins; 0 says nothing.
        longest: steps over which the slowest of them turns once.
    """

    width: int
    patch_len: int = 8
    hidden: tuple[int, ...] = (256, 256)
    frequencies: int = 8
    longest: int = 4096

    def __post_init__(self) -> None:
        sizes = (self.width, self.patch_len, *self.hidden)
        if min(sizes) < 1 or self.frequencies < 0 or self.longest <= self.patch_len:
            raise ConfigError(
                "sizes of a series encoder are out of range",
                expected="width, patch_len and hidden at least 1, frequencies at least 0, "
                "longest above patch_len",
                got=f"{sizes}, {self.frequencies}, {self.longest}",
            )

    @property
    def features(self) -> int:
        """Numbers in a patch: a value and a mask for each step."""
        return CHANNELS * self.patch_len


class SeriesEncoder(nn.Module):
    """A perceptron over a patch, and a linear map of where in its series the patch begins, added up.

    The perceptron sees a patch twice: its values in the range of the whole series, and its shape, which is
    the values less their mean over their spread, with the mean and the logarithm of the spread beside it. A
    season is then the same whether a spike elsewhere stretches the range or not.

    Which dimension a patch belongs to is said by the text around its run, so any number of dimensions fits.
    """

    waves: Tensor

    def __init__(self, config: SeriesEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.features + config.patch_len + 2, *config.hidden)
        layers: list[nn.Module] = []
        for width, wider in pairwise(widths):
            layers += [nn.Linear(width, wider), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], config.width))
        place = nn.Linear(2 * config.frequencies, config.width, bias=False) if config.frequencies else None
        self.place = place
        # From a turn every two patches to a turn over twice `longest` steps.
        periods = torch.logspace(
            math.log10(2 * config.patch_len), math.log10(2 * config.longest), config.frequencies
        )
        self.register_buffer("waves", 2 * torch.pi / periods, persistent=False)

    def forward(
        self, patches_BNF: Float[Tensor, "b patches features"], start_BN: Int64[Tensor, "b patches"]
    ) -> Float[Tensor, "b patches width"]:
        """Embeddings [B, patches, width]; zero for a patch without any value (padding)."""
        values_BNP, mask_BNP = patches_BNF.split(self.config.patch_len, -1)
        count_BN1 = mask_BNP.sum(-1, keepdim=True)
        mean_BN1 = values_BNP.sum(-1, keepdim=True) / count_BN1.clamp(min=1)
        rest_BNP = (values_BNP - mean_BN1) * mask_BNP
        power_BN1 = rest_BNP.square().sum(-1, keepdim=True) / count_BN1.clamp(min=1)
        spread_BN1 = (power_BN1 + FLAT**2).sqrt()
        seen_BNF = torch.cat((patches_BNF, rest_BNP / spread_BN1, mean_BN1, spread_BN1.log()), -1)
        out_BNW = self.layers(seen_BNF)
        if self.place is not None:
            angle_BNK = start_BN.unsqueeze(-1) * self.waves
            place_BNK = torch.cat((angle_BNK.sin(), angle_BNK.cos()), -1).to(patches_BNF.dtype)
            out_BNW = out_BNW + self.place(place_BNK)
        return out_BNW * (count_BN1 > 0)
