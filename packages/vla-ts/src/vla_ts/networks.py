"""The networks of a `VqVaeCodec`: encoder, codebooks, decoder over normalised chunks.

- encoder and decoder are the identity plus something that starts at zero (a perceptron, convolutions along
  time, a transformer over the steps): training starts from plain quantisation of the chunk, which is already
  a good codec of smooth actions, and can only add to it
- whatever the quantiser was in training, what is left of it is one codebook per level, and a chunk's code is
  the nearest one: for the grids of FSQ and the signs of LFQ that is what rounding would give
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_ts.fit import Coder

HEAD_WIDTH = 32  # of an attention head, about
KERNEL = 5  # steps a convolution sees
Layer = TypeVar("Layer", bound=nn.Module)


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a network: the chunk, the codebooks, and the hidden layers (none: the identity alone).

    `encoder` and `decoder` say what is added to the identity; their `hidden` are its layers: widths of a
    perceptron's, channels of convolutions, width of each block of a transformer (all the same).
    """

    action_horizon: int
    action_dim: int
    levels: int
    codebook_size: int
    encoder_hidden: tuple[int, ...] = ()
    decoder_hidden: tuple[int, ...] = ()
    encoder: Coder = "mlp"
    decoder: Coder = "mlp"

    def __post_init__(self) -> None:
        sizes = (self.action_horizon, self.action_dim, self.levels, self.codebook_size)
        if min(*sizes, *self.encoder_hidden, *self.decoder_hidden) < 1 or self.codebook_size < 2:
            raise ConfigError("sizes of a codec must be positive, codebooks of two or more", got=str(self))
        for kind, hidden in ((self.encoder, self.encoder_hidden), (self.decoder, self.decoder_hidden)):
            if kind == "transformer" and len(set(hidden)) > 1:
                raise ConfigError("blocks of a transformer have one width", got=str(list(hidden)))

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
        self.added = nn.Sequential(*layers, _silent(nn.Linear(hidden[-1], size))) if hidden else None

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD if self.added is None else x_BD + self.added(x_BD)


class IdentityPlusSteps(nn.Module):
    """x + network(x) where the network sees a chunk as a row of steps, [B, horizon, dim]."""

    def __init__(self, horizon: int, dim: int, added: nn.Module) -> None:
        super().__init__()
        self.horizon, self.dim, self.added = horizon, dim, added

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD + self.added(x_BD.unflatten(1, (self.horizon, self.dim))).flatten(1)


class Convolutions(nn.Module):
    """Convolutions along time, [B, T, dim] → [B, T, dim]."""

    def __init__(self, dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, wider in zip((dim, *hidden), hidden, strict=False):
            layers += [nn.Conv1d(width, wider, KERNEL, padding="same"), nn.GELU()]
        self.layers = nn.Sequential(*layers, _silent(nn.Conv1d(hidden[-1], dim, KERNEL, padding="same")))

    def forward(self, x_BTA: Tensor) -> Tensor:
        return self.layers(x_BTA.transpose(1, 2)).transpose(1, 2)


class Attention(nn.Module):
    """Transformer blocks over the steps, each with a learnt place, [B, T, dim] → [B, T, dim]."""

    def __init__(self, horizon: int, dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        width = hidden[0]
        heads = next(n for n in range(max(1, width // HEAD_WIDTH), 0, -1) if width % n == 0)
        self.into = nn.Linear(dim, width)
        self.places = nn.Parameter(torch.randn(horizon, width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in hidden
        )
        self.out = _silent(nn.Linear(width, dim))

    def forward(self, x_BTA: Tensor) -> Tensor:
        x_BTW = self.into(x_BTA) + self.places
        for block in self.blocks:
            x_BTW = block(x_BTW)
        return self.out(x_BTW)


def make_coder(kind: Coder, horizon: int, dim: int, hidden: tuple[int, ...]) -> nn.Module:
    """An encoder or decoder over flat chunks [B, horizon × dim]."""
    if kind == "mlp" or not hidden:
        return IdentityPlus(horizon * dim, hidden)
    added = Convolutions(dim, hidden) if kind == "conv" else Attention(horizon, dim, hidden)
    return IdentityPlusSteps(horizon, dim, added)


def _silent(layer: Layer) -> Layer:
    """The layer, saying nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ChunkNetwork(nn.Module):
    """Encoder, codebooks [levels, codebook_size, latent] and decoder over normalised chunks [B, latent]."""

    codebooks: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        size = (shape.action_horizon, shape.action_dim)
        self.encoder = make_coder(shape.encoder, *size, shape.encoder_hidden)
        self.decoder = make_coder(shape.decoder, *size, shape.decoder_hidden)
        self.register_buffer("codebooks", torch.zeros(shape.levels, shape.codebook_size, shape.latent))

    def encode(self, x_BD: Tensor) -> Tensor:
        """Codes int64 [B, levels], each level's the nearest to what the earlier ones left over."""
        left_BD = self.encoder(x_BD)
        codes = []
        for book_KD in self.codebooks:
            # |x - c|² without its constant |x|²; exact distances would need [B, K, D] of memory
            code_B = torch.addmm(book_KD.square().sum(1), left_BD, book_KD.T, alpha=-2).argmin(1)
            codes.append(code_B)
            left_BD = left_BD - book_KD[code_B]
        return torch.stack(codes, 1)

    def decode(self, codes_BL: Tensor) -> Tensor:
        """Normalised chunks [B, latent] from the codes of the first levels, one level or more."""
        level_L = torch.arange(codes_BL.shape[1], device=codes_BL.device)
        return self.decoder(self.codebooks[level_L, codes_BL].sum(1))
