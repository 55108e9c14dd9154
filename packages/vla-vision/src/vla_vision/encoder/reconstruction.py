"""Pictures made from tokens: a decoder that asks for every place at two times, and how wrong it is.

The tokens are a bottleneck: what the decoder can make again, they hold. What is the same in all pictures is
learnt by the decoder itself (`typical`), so that tokens are left for what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.inputs import depth_planes, flow_planes, rgb_planes
from vla_vision.encoder.tokens import Batch, Tokens
from vla_vision.encoder.train_config import DecoderConfig, LossConfig

PLANES = 6  # colours, log depth, squashed flow
MOVING = 0.05  # frame widths a second
TIMES = ("now", "next")


class CrossBlock(nn.Module):
    """Queries look at tokens, then think."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ask, self.think = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.dense = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x_BQD: Tensor, tokens_BND: Tensor, ignored_BN: Tensor) -> Tensor:
        asked = self.ask(x_BQD)
        x_BQD = x_BQD + self.attend(asked, tokens_BND, tokens_BND, ignored_BN, need_weights=False)[0]
        return x_BQD + self.dense(self.think(x_BQD))


class TokenReader(nn.Module):
    """Queries of any kind read tokens; there is always one token to look at, also where none is valid."""

    def __init__(self, width: int, config: DecoderConfig) -> None:
        super().__init__()
        self.take = nn.Linear(width, config.dim)
        self.nothing = nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
        self.blocks = nn.ModuleList(CrossBlock(config.dim, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, queries_BQD: Tensor, tokens: Tokens) -> Tensor:
        x_BND = self.take(tokens.values)
        x_BND = torch.cat([self.nothing.expand(len(x_BND), -1, -1).to(x_BND.dtype), x_BND], dim=1)
        ignored_BN = torch.cat([torch.zeros_like(tokens.mask[:, :1]), ~tokens.mask], dim=1)
        for block in self.blocks:
            queries_BQD = block(queries_BQD, x_BND, ignored_BN)
        return self.norm(queries_BQD)


class Reconstructor(nn.Module):
    """Tokens → pictures of this frame and of a later one.

    Patch tokens, whose number and order are fixed, are laid out over the places by one linear map, so that
    what they hold can be read off linearly; every place asks the objects, a set, by attention.
    """

    def __init__(self, encoder: EncoderConfig, config: DecoderConfig) -> None:
        super().__init__()
        self.encoder = encoder
        rows, columns = encoder.grid
        places, numbers = rows * columns, PLANES * encoder.cell**2
        self.moment = nn.Linear(1, config.dim)
        self.places = nn.Parameter(0.5 * torch.randn(places, config.dim))
        if encoder.has_objects:
            self.ask = TokenReader(encoder.width, config)
        if encoder.has_patches:
            held = encoder.patch_tokens * encoder.width
            self.later = nn.Linear(1, held)
            self.lay = nn.Linear(held, places * config.dim)
        self.think = nn.Sequential(
            nn.Linear(config.dim, 2 * config.dim), nn.GELU(), nn.Linear(2 * config.dim, numbers)
        )
        self.straight = nn.Linear(config.dim, numbers)
        self.typical = nn.Parameter(torch.zeros(places, numbers))

    def forward(self, tokens: Tokens, ahead: Float[Tensor, "b t"]) -> Float[Tensor, "b t 6 h w"]:
        """Pictures `ahead` seconds from the latest frame."""
        when_BT1 = 10 * ahead[..., None]
        x_BTPD = self.places + self.moment(when_BT1)[:, :, None]
        split = self.encoder.features.rows if self.encoder.has_objects else 0
        if self.encoder.has_objects:
            objects = tokens.first(split)
            x_BTPD = self.ask(x_BTPD.flatten(1, 2), objects).unflatten(1, x_BTPD.shape[1:3])
        if self.encoder.has_patches:
            shown = tokens.values * tokens.mask[..., None]
            held_BTX = shown[:, None, split:].flatten(2) * (1 + self.later(when_BT1))
            x_BTPD = x_BTPD + self.lay(held_BTX).unflatten(2, (len(self.places), -1))
        cells_BTPN = self.think(x_BTPD) + self.straight(x_BTPD) + self.typical
        rows, columns = self.encoder.grid
        cell = self.encoder.cell
        parts = cells_BTPN.unflatten(2, (rows, columns)).unflatten(-1, (PLANES, cell, cell))
        return parts.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def targets(batch: Batch) -> tuple[Float[Tensor, "b t 6 h w"], Float[Tensor, "b t 6 h w"]]:
    """The pictures that tokens are to give, and which of their numbers are known (1) or not (0)."""
    wanted, known = [], []
    for time in TIMES:
        rgb, depth = rgb_planes(batch[f"{time}.rgb"]), depth_planes(batch[f"{time}.depth"])
        flow = flow_planes(batch[f"{time}.flow"], batch[f"{time}.flow_known"])
        seen = [torch.ones_like(rgb), depth[:, 1:], flow[:, 2:].expand(-1, 2, -1, -1)]
        wanted.append(torch.cat([rgb, depth[:, :1], flow[:, :2]], dim=1))
        known.append(torch.cat(seen, dim=1))
    known[1] = known[1] * (batch["gap"] > 0)[:, None, None, None]
    return torch.stack(wanted, 1), torch.stack(known, 1)


def moves(batch: Batch) -> Float[Tensor, "b t h w"]:
    """1 where a pixel moves."""
    speeds = [batch[f"{time}.flow"].float().norm(dim=-1) for time in TIMES]
    return (torch.stack(speeds, 1) > MOVING).float()


def picture_losses(
    made: Float[Tensor, "b t 6 h w"], batch: Batch, config: LossConfig
) -> Mapping[str, Tensor]:
    """Mean squared error of colours; mean absolute error of log depth and of squashed flow."""
    wanted, known = targets(batch)
    weight = known * (1 + config.moving * moves(batch))[:, :, None]
    off = made.float() - wanted
    losses = {}
    for name, part, error in (
        ("rgb", slice(0, 3), off.square()),
        ("depth", slice(3, 4), off.abs()),
        ("flow", slice(4, 6), off.abs()),
    ):
        share = weight[:, :, part]
        losses[name] = (error[:, :, part] * share).sum() / share.sum().clamp(min=1)
    return losses
