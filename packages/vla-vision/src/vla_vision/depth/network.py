"""A small metric-depth network that trains from nothing on a CPU in minutes.

Notable features:
- strided convolutions down to 1/16 with residual blocks, then up again beside the finer maps (U-Net,
  Ronneberger et al. 2015, arXiv:1505.04597); groups of channels are normalised, as batches are small
- at the coarsest scale every place also hears the mean over all places: how far things are depends on what
  the whole picture shows
- depth as its logarithm, at half the resolution, of a canonical camera (Metric3D, Yin et al. 2023,
  arXiv:2307.10984): a camera of twice the focal length sees a thing of twice the distance as large, so a
  network that is not told the focal length can only say depth × height / focal length; the rest is a factor
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vla_vision.depth.config import GROUP, CompactDepthConfig


class _Block(nn.Module):
    """Two 3×3 convolutions around which the input passes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.second(self.first(x_BCHW))


class CompactDepthNet(nn.Module):
    """float [B, 3, H, W] in about [−2, 2], H and W multiples of 16 → log of canonical depth [B, H, W].

    Canonical depth is depth × H / focal length, the latter in pixels of the H×W picture.
    """

    def __init__(self, config: CompactDepthConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.channels)
        self.down = nn.ModuleList(
            nn.Sequential(_conv(a, b, 7 if i == 0 else 3, 2), *(_Block(b) for _ in range(n)))
            for i, (a, b, n) in enumerate(zip(widths, widths[1:], config.blocks, strict=False))
        )
        deepest = config.channels[-1]
        self.whole = nn.Linear(deepest, deepest)
        self.up = nn.ModuleList(
            _conv(coarse + fine, fine)
            for coarse, fine in zip(config.channels[:0:-1], config.channels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(config.channels[0], 1, 3, padding=1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        """Log of canonical depth at every pixel."""
        maps = [images]
        for down in self.down:
            maps.append(down(maps[-1]))
        x_BCHW = maps.pop()
        x_BCHW = x_BCHW + self.whole(x_BCHW.mean((2, 3)))[:, :, None, None]
        for up in self.up:
            finer_BCHW = maps.pop()
            x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="bilinear", align_corners=False)
            x_BCHW = up(torch.cat([x_BCHW, finer_BCHW], 1))
        half_BHW = functional.interpolate(
            self.head(x_BCHW), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return half_BHW[:, 0]


def _conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(after // GROUP, after), nn.SiLU())
