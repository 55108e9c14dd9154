"""Image tokens for a policy that is trained end to end: convolutions that listen to what is asked, then
TokenLearner (Ryoo et al. 2021, arXiv:2106.11297) in its plainest form, a softmax over places of a linear map
for each token; or every cell a token, as in RT-1 (Brohan et al. 2022, arXiv:2212.06817) with and without it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vla_vision.image_encoder import ImageEncoder, ImageEncoderConfig

OCTAVES = 4
POOL = 2  # cells a side that become one token where there is no TokenLearner


class ImageTokens(nn.Module):
    """uint8 [B, 3, height, width] and a condition [B, condition_dim] → tokens [B, count, width].

    Args:
        encoder: of the convolutions.
        tokens: that TokenLearner makes; 0 for a token of every 2×2 cells.
        width: numbers in a token.
    """

    places: Tensor

    def __init__(self, encoder: ImageEncoderConfig, tokens: int, width: int) -> None:
        super().__init__()
        self.encoder = ImageEncoder(encoder)
        rows, columns = _cells(encoder)
        if not tokens:
            rows, columns = rows // POOL, columns // POOL
        self.count = tokens or rows * columns
        self.learn = nn.Linear(encoder.channels, tokens) if tokens else None
        self.out = nn.Linear(encoder.channels + wave_count(2), width)
        y, x = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
        self.register_buffer("places", torch.stack([x, y], dim=-1).flatten(0, 1), persistent=False)

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        condition: Float[Tensor, "b c"] | None = None,
        planes: Float[Tensor, "b p h w"] | None = None,
    ) -> Float[Tensor, "b count width"]:
        """Tokens; each says what it saw and where."""
        x_BCHW = self.encoder.feature_map(images, condition, planes)
        if self.learn is None:
            x_BCHW = nn.functional.avg_pool2d(x_BCHW, POOL)
        x_BPC = x_BCHW.flatten(2).transpose(1, 2)
        places_BP2 = self.places.to(x_BPC.dtype).expand(len(x_BPC), -1, -1)
        if self.learn is None:
            return self.out(torch.cat([x_BPC, waves(places_BP2)], dim=-1))
        attention_BSP = self.learn(x_BPC).transpose(1, 2).softmax(-1)
        tokens_BSC = attention_BSP @ x_BPC
        return self.out(torch.cat([tokens_BSC, waves(attention_BSP @ places_BP2)], dim=-1))


def waves(values: Float[Tensor, "*b n"], octaves: int = OCTAVES) -> Float[Tensor, "*b m"]:
    """Numbers of about −1 … 1 with their sines and cosines at several octaves (as in Mildenhall et al. 2020,
    arXiv:2003.08934), so that a small difference is told even where norms hide how large a number is."""
    turns = torch.pi / 2 * 2.0 ** torch.arange(octaves, device=values.device)
    angles = (values[..., None] * turns).flatten(-2)
    return torch.cat([values, angles.sin(), angles.cos()], dim=-1)


def wave_count(numbers: int, octaves: int = OCTAVES) -> int:
    """How many `waves` gives."""
    return numbers * (1 + 2 * octaves)


def _cells(config: ImageEncoderConfig) -> tuple[int, int]:
    """Rows and columns of the feature map."""
    sides = ((size - config.stem_kernel) // config.stem_stride + 1 for size in (config.height, config.width))
    rows, columns = sides
    return rows, columns
