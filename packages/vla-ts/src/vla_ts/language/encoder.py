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
    """A perceptron over a patch's values, its mask and where in its series it begins.

    Which dimension a patch belongs to is said by the text around its run, so any number of dimensions fits.
    """

    waves: Tensor

    def __init__(self, config: SeriesEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.features + 2 * config.frequencies, *config.hidden)
        layers: list[nn.Module] = []
        for width, wider in pairwise(widths):
            layers += [nn.Linear(width, wider), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], config.width))
        # From a turn every two patches to a turn over `longest` steps.
        periods = torch.logspace(
            math.log10(2 * config.patch_len), math.log10(2 * config.longest), config.frequencies
        )
        self.register_buffer("waves", 2 * torch.pi / periods, persistent=False)

    def forward(
        self, patches_BNF: Float[Tensor, "b patches features"], start_BN: Int64[Tensor, "b patches"]
    ) -> Float[Tensor, "b patches width"]:
        """Embeddings [B, patches, width]; zero for a patch without any value (padding)."""
        angle_BNK = start_BN.unsqueeze(-1) * self.waves
        place = (angle_BNK.sin().to(patches_BNF.dtype), angle_BNK.cos().to(patches_BNF.dtype))
        out_BNW = self.layers(torch.cat((patches_BNF, *place), -1))
        filled_BN = patches_BNF[..., self.config.patch_len :].any(-1, keepdim=True)
        return out_BNW * filled_BN
