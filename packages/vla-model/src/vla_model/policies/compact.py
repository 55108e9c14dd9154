"""The compact policy: a convolutional network from pixels, proprioception and words to an action chunk.

The strong from-scratch baseline: about 0.4 M parameters, trained on a CPU in minutes. Notable features:
- the instruction is a mean of word vectors; it modulates every convolution (FiLM) and joins the trunk
- one image encoder per camera, spatial softmax, so that the features are positions
- the head speaks codec codes (default) or numbers (`heads`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from vla_model.policies.heads import CodesHead, ContinuousHead
from vla_model.words import PAD
from vla_vision.image_encoder import ImageEncoder, ImageEncoderConfig


@dataclass(frozen=True)
class CompactConfig:
    """Sizes and switches of the compact policy.

    Args:
        channels, layers: of each camera's encoder.
        word_dim: width of a word vector and of the condition.
        hidden_dim: width of the trunk.
        trunk_layers: dense layers of the trunk.
        head: `codes` (of the codec given at training) or `continuous`.
        word_dropout: chance that a word of the instruction is left out in training.
    """

    channels: int = 32
    layers: int = 2
    word_dim: int = 64
    hidden_dim: int = 256
    trunk_layers: int = 2
    head: Literal["codes", "continuous"] = "codes"
    word_dropout: float = 0.1


@dataclass(frozen=True)
class CompactShapes:
    """What data and codec fix: the shapes of the inputs and of the answer.

    `levels` and `codebook_size` are those of the codec; 0 without one.
    """

    cameras: int
    height: int
    width: int
    state_dim: int
    vocabulary: int
    action_horizon: int
    action_dim: int
    levels: int = 0
    codebook_size: int = 0


class CompactNetwork(nn.Module):
    """Images uint8 [B, cameras, 3, H, W], state [B, S], words [B, L] → features, codes or actions."""

    def __init__(self, config: CompactConfig, shapes: CompactShapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        self.words = nn.Embedding(shapes.vocabulary + 1, config.word_dim, padding_idx=PAD)
        encoder = ImageEncoderConfig(
            shapes.height, shapes.width, config.channels, config.layers, condition_dim=config.word_dim
        )
        self.encoders = nn.ModuleList(ImageEncoder(encoder) for _ in range(shapes.cameras))
        width = shapes.cameras * 2 * config.channels + shapes.state_dim + config.word_dim
        trunk: list[nn.Module] = []
        for _ in range(config.trunk_layers):
            trunk += [nn.Linear(width, config.hidden_dim), nn.ReLU()]
            width = config.hidden_dim
        self.trunk = nn.Sequential(*trunk)
        self.head: CodesHead | ContinuousHead
        if config.head == "codes":
            self.head = CodesHead(width, shapes.levels, shapes.codebook_size)
        else:
            self.head = ContinuousHead(width, shapes.action_horizon, shapes.action_dim)

    def features(
        self,
        images: UInt8[Tensor, "b cameras 3 h w"],
        state: Float[Tensor, "b s"],
        words: Int64[Tensor, "b l"],
    ) -> Float[Tensor, "b f"]:
        """What the heads read."""
        mask_BL1 = (words != PAD).unsqueeze(-1).to(state.dtype)
        said_BW = (self.words(words) * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        seen = [encoder(images[:, i], said_BW) for i, encoder in enumerate(self.encoders)]
        return self.trunk(torch.cat([*seen, state, said_BW], dim=1))

    def forward(self, images: Tensor, state: Tensor, words: Tensor) -> Tensor:
        """Codes [B, levels] or normalised actions [B, action_horizon, action_dim]."""
        return self.head(self.features(images, state, words))

    def training_loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Loss of a batch with `images`, `state`, `words` and `target` (codes or normalised actions)."""
        words = batch["words"]
        if self.config.word_dropout:
            keep = torch.rand(words.shape, device=words.device) >= self.config.word_dropout
            words = words * keep
        return self.head.loss(self.features(batch["images"], batch["state"], words), batch["target"])
