"""A small trainable image encoder whose attention listens to a condition.

Notable features:
- strided stem, 3×3 convolutions, each normalised over groups of channels (Wu and He 2018,
  arXiv:1803.08494) and modulated by the condition (FiLM, Perez et al. 2018, arXiv:1709.07871); without
  the normalisation small objects are learned about three times slower
- spatial softmax (Finn et al. 2016, arXiv:1509.06113): each channel answers with where it fired, so that
  positions survive without a large dense layer
- a few ten thousand parameters: trains from nothing on a CPU
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vla_data.errors import ConfigError

GROUP_CHANNELS = 4


@dataclass(frozen=True)
class ImageEncoderConfig:
    """Sizes of an `ImageEncoder`.

    Args:
        height, width: pixels of the images it takes.
        channels: feature maps of every layer, a multiple of 4; the output holds two numbers for each.
        layers: 3×3 convolutions after the stem.
        stem_kernel, stem_stride: of the first convolution.
        condition_dim: width of the condition vector; 0 for none.
        planes: numbers at every pixel beside its colour (`vla_vision.encoder.inputs`: depth, flow).
    """

    height: int = 64
    width: int = 64
    channels: int = 32
    layers: int = 2
    stem_kernel: int = 8
    stem_stride: int = 4
    condition_dim: int = 64
    planes: int = 0


class ImageEncoder(nn.Module):
    """uint8 [B, 3, height, width] and a condition [B, condition_dim] → features [B, feature_dim].

    The features are the expected x and y, each in [−1, 1], of every channel's attention map.
    """

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        if min(config.height, config.width) < config.stem_kernel:
            raise ConfigError(
                "images are smaller than the stem's kernel",
                where="image encoder",
                expected=f"at least {config.stem_kernel} pixels a side",
                got=f"{config.height}×{config.width}",
            )
        self.config = config
        c = config.channels
        stem = nn.Conv2d(3 + config.planes, c, config.stem_kernel, config.stem_stride)
        self.convolutions = nn.ModuleList(
            [stem, *(nn.Conv2d(c, c, 3, padding=1) for _ in range(config.layers))]
        )
        film = [nn.Linear(config.condition_dim, 2 * c) for _ in self.convolutions if config.condition_dim]
        self.norms = nn.ModuleList(nn.GroupNorm(c // GROUP_CHANNELS, c) for _ in self.convolutions)
        self.film = nn.ModuleList(film)
        for layer in film:  # starts as the identity
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.temperature = nn.Parameter(torch.ones(c))

    @property
    def feature_dim(self) -> int:
        """Numbers per image."""
        return 2 * self.config.channels

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], condition: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b f"]:
        """Encode a batch of images."""
        return self._spatial_softmax(self.feature_map(images, condition))

    def feature_map(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        condition: Float[Tensor, "b c"] | None = None,
        planes: Float[Tensor, "b p h w"] | None = None,
    ) -> Float[Tensor, "b channels rows columns"]:
        """What every place of the images looks like, at the stem's resolution."""
        x_BCHW = images.to(self.temperature.dtype) / 127.5 - 1.0
        if planes is not None:
            x_BCHW = torch.cat([x_BCHW, planes.to(x_BCHW.dtype)], dim=1)
        for i, convolution in enumerate(self.convolutions):
            x_BCHW = self.norms[i](convolution(x_BCHW))
            if self.film and condition is not None:
                scale_BC, shift_BC = self.film[i](condition).chunk(2, dim=1)
                x_BCHW = x_BCHW * (1 + scale_BC[:, :, None, None]) + shift_BC[:, :, None, None]
            x_BCHW = torch.relu(x_BCHW)
        return x_BCHW

    def _spatial_softmax(self, x_BCHW: Tensor) -> Tensor:
        _, _, height, width = x_BCHW.shape
        scaled = x_BCHW * self.temperature[None, :, None, None]
        attention_BCHW = scaled.flatten(2).softmax(-1).view_as(x_BCHW)
        ys = torch.linspace(-1, 1, height, device=x_BCHW.device, dtype=x_BCHW.dtype)
        xs = torch.linspace(-1, 1, width, device=x_BCHW.device, dtype=x_BCHW.dtype)
        x_BC = (attention_BCHW.sum(2) * xs).sum(-1)
        y_BC = (attention_BCHW.sum(3) * ys).sum(-1)
        return torch.cat([x_BC, y_BC], dim=1)
