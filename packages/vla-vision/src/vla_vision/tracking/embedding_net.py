"""How things look, by a small network: crops to 128 numbers. Weights are given by the user, as safetensors.

Notable features:
- four stages of 3×3 convolutions with group normalisation: no statistics of a batch, so one crop or
  a hundred give the same answer
- pooled in horizontal thirds, as what is above differs from what is below; then one linear layer
- 0.3 M parameters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vla_data.fit.weights import load_weights
from vla_vision.tracking.embedders import Boxes, crops
from vla_vision.types import Frame

BANDS = 3


@dataclass(frozen=True)
class EmbeddingConfig:
    """Size of `EmbeddingNet`; crops are scaled to `height`×`width`."""

    height: int = 96
    width: int = 48
    channels: tuple[int, ...] = (32, 64, 96, 128)
    dim: int = 128


class EmbeddingNet(nn.Module):
    """Crops to embeddings of length 1; trained with any loss on cosine similarity."""

    def __init__(self, config: EmbeddingConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmbeddingConfig()
        layers: list[nn.Module] = []
        before = 3
        for channels in self.config.channels:
            layers += [
                nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(8, channels),
                nn.SiLU(),
                nn.Conv2d(channels, channels, 3, padding=1, groups=channels // 8, bias=False),
                nn.GroupNorm(8, channels),
                nn.SiLU(),
            ]
            before = channels
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(before * BANDS, self.config.dim)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """float32 [B, 3, height, width] in [0, 1] → [B, dim]."""
        features_BCHW = self.body(images * 2 - 1)
        pooled_BCN = functional.adaptive_avg_pool2d(features_BCHW, (BANDS, 1)).flatten(1)
        return functional.normalize(self.head(pooled_BCN), dim=1)


class NetEmbedder:
    """An `Embedder` of an `EmbeddingNet`, or of any module that takes and gives the same."""

    def __init__(self, net: nn.Module, size: tuple[int, int], dim: int, device: str = "cpu") -> None:
        self.net, self.size, self.dim = net.to(device).eval(), size, dim
        self.device = device

    @classmethod
    def load(cls, path: Path, config: EmbeddingConfig | None = None, device: str = "cpu") -> NetEmbedder:
        """An `EmbeddingNet` with weights from a safetensors file.

        Raises:
            CheckpointError: the file is missing, damaged or belongs to another network.
        """
        net = EmbeddingNet(config)
        load_weights(net, path)
        return cls(net, (net.config.height, net.config.width), net.config.dim, device)

    @torch.inference_mode()
    def embed(self, image: Frame, boxes: Boxes) -> np.ndarray:
        """float32 [N, dim], rows of length 1; zeros for a box outside the image."""
        found = np.zeros((len(boxes), self.dim), np.float32)
        patches = crops(image, boxes, self.size)
        rows = [i for i, patch in enumerate(patches) if patch is not None]
        if rows:
            found[rows] = self.net(self._batch([patches[i] for i in rows])).float().cpu().numpy()
        return found

    def _batch(self, patches: Sequence[np.ndarray | None]) -> Tensor:
        stacked = np.stack([p for p in patches if p is not None]).transpose(0, 3, 1, 2)
        return torch.from_numpy(stacked.copy()).to(self.device).float() / 255
