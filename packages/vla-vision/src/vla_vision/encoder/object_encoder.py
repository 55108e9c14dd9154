"""A token for every row of the object table."""

from __future__ import annotations

import torch
from torch import nn

from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.inputs import latest_rows, row_inputs, told_rows, told_width
from vla_vision.encoder.tokens import NO_KIND, NO_SLOT, Batch, Tokens


class ObjectEncoder(nn.Module):
    """Rows of the latest frame → tokens.

    Each row by itself: swapping rows swaps tokens, and what a row without an object holds changes nothing.
    Numbers reach the token both straight and through a hidden layer; class and identity are embedded.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        features, width = config.features, config.width
        self.straight = nn.Linear(told_width(features.look_dim), width)
        self.kind = nn.Embedding(features.classes, width)
        self.slot = nn.Embedding(features.rows, width)
        self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU())
        self.out = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, batch: Batch) -> Tokens:
        """A batch [B, K, N, …] → N tokens."""
        latest = latest_rows(batch)
        valid_BN, kinds_BN = latest["objects.valid"], latest["objects.kinds"]
        slots_BN = latest["objects.slots"]
        x_BNW = self.straight(told_rows(row_inputs(latest))) + self.kind(
            kinds_BN.clamp(0, self.kind.num_embeddings - 1)
        )
        x_BNW = x_BNW + self.slot(slots_BN.clamp(0, self.slot.num_embeddings - 1))
        x_BNW = self.norm(x_BNW + self.out(self.hidden(x_BNW)))
        x_BNW = torch.where(
            valid_BN[..., None], x_BNW, torch.zeros((), dtype=x_BNW.dtype, device=x_BNW.device)
        )
        kinds_BN = torch.where(valid_BN, kinds_BN, NO_KIND)
        return Tokens(x_BNW, valid_BN, torch.where(valid_BN, slots_BN, NO_SLOT), kinds_BN)
