"""Patch tokens: a small convolutional stem, a transformer over patches, compressed by TokenLearner.

TokenLearner after Ryoo et al. 2021 (arXiv:2106.11297), in the form of its later version: a softmax over
places for every token, from an MLP on the patches. Each token also says where its attention lies.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.inputs import PLANES, planes
from vla_vision.encoder.tokens import NO_SLOT, Batch, Tokens

GROUP, LEAST = 8, 8  # channels


class TokenLearner(nn.Module):
    """P features → S tokens, each a mean over places by its own attention."""

    def __init__(self, dim: int, tokens: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, tokens))

    def forward(self, x_BPD: Tensor) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "b s p"]]:
        """Tokens and the attention of each, which sums to 1."""
        attention_BSP = self.attend(x_BPD).transpose(1, 2).float().softmax(-1).to(x_BPD.dtype)
        return attention_BSP @ x_BPD, attention_BSP


class PatchEncoder(nn.Module):
    """RGB, depth and flow of K frames → S tokens.

    Each group of channels has a convolution of its own and they are added, so that a group can be left out;
    the coordinates of every pixel are one more.
    """

    pixels: Tensor
    places: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        widths = [max(LEAST, 2 * dim >> i) for i in range(config.cell.bit_length() - 1, 0, -1)]
        first = widths[0]
        self.stems = nn.ModuleDict(
            {name: nn.Conv2d(PLANES[name], first, 4, 2, 1) for name in config.channels}
        )
        self.where = nn.Conv2d(2, first, 4, 2, 1, bias=False)
        self.down = nn.Sequential(_norm(first), *_halvings(widths))
        rows, columns = config.grid
        self.place = nn.Parameter(0.02 * torch.randn(rows * columns, dim))
        self.moment = nn.Parameter(0.02 * torch.randn(config.history, dim))
        self.mix = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, config.heads, 2 * dim, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.learn = TokenLearner(dim, config.patch_tokens)
        self.out = nn.Linear(dim + 3, config.width)
        self.name = nn.Parameter(0.02 * torch.randn(config.patch_tokens, config.width))
        self.norm = nn.LayerNorm(config.width)
        self.register_buffer(
            "pixels", _coordinates(config.features.height, config.features.width), persistent=False
        )
        cells_2RC = _coordinates(rows, columns).flatten(1)
        moments = torch.linspace(-1, 0, config.history) if config.history > 1 else torch.zeros(1)
        places = torch.cat(
            [cells_2RC.repeat(1, config.history), moments.repeat_interleave(rows * columns)[None]]
        )
        self.register_buffer("places", places.T.contiguous(), persistent=False)

    def forward(self, batch: Batch) -> tuple[Tokens, Float[Tensor, "b s k rows columns"]]:
        """A batch [B, K, H, W, …] → S tokens, and where the attention of each lies."""
        x_BPD = self.patches(batch)
        for layer in self.mix:
            x_BPD = layer(x_BPD)
        tokens_BSD, attention_BSP = self.learn(x_BPD)
        found_BS3 = attention_BSP @ self.places.to(attention_BSP.dtype)
        values = self.norm(self.out(torch.cat([tokens_BSD, found_BS3], dim=-1)) + self.name)
        mask = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        nothing = torch.full(values.shape[:2], NO_SLOT, dtype=torch.int64, device=values.device)
        looked = attention_BSP.unflatten(2, (self.config.history, *self.config.grid))
        return Tokens(values, mask, nothing, nothing), looked

    def patches(self, batch: Batch) -> Float[Tensor, "b p d"]:
        """Features of all patches of all K frames."""
        x_CHW = self.where(self.pixels[None])
        for name, stem in self.stems.items():
            x_CHW = x_CHW + stem(planes(batch, name).flatten(0, 1))  # type: ignore[arg-type]
        x_BKPD = self.down(x_CHW).flatten(2).transpose(1, 2).unflatten(0, (-1, self.config.history))
        return (x_BKPD + self.place + self.moment[:, None]).flatten(1, 2)


def _halvings(widths: list[int]) -> list[nn.Module]:
    """Convolutions that halve the size again and again, and one that looks around."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.SiLU(), nn.Conv2d(before, after, 4, 2, 1, bias=False), _norm(after)]
    return [*layers, nn.SiLU(), nn.Conv2d(widths[-1], widths[-1], 3, 1, 1)]


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(1 if channels % GROUP else channels // GROUP, channels)


def _coordinates(rows: int, columns: int) -> Float[Tensor, "2 {rows} {columns}"]:
    """x and y of the middle of every cell, in [−1, 1]."""
    x = (torch.arange(columns) + 0.5) / columns * 2 - 1
    y = (torch.arange(rows) + 0.5) / rows * 2 - 1
    return torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)])
