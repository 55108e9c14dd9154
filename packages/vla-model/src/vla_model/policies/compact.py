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
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vla_model.policies.heads import CodesHead, ContinuousHead, FlowHead
from vla_model.policies.instruction import dropped, said
from vla_model.policies.shapes import Batch, PolicyShapes
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
        head: `codes` (of the codec given at training), `continuous` or `flow`.
        word_dropout: chance that a word of the instruction is left out in training.
    """

    channels: int = 32
    layers: int = 2
    word_dim: int = 64
    hidden_dim: int = 256
    trunk_layers: int = 2
    head: Literal["codes", "continuous", "flow"] = "codes"
    word_dropout: float = 0.1


class CompactNetwork(nn.Module):
    """The latest pictures, state and words → codes or actions (`vla_model.policies.shapes.Batch`)."""

    def __init__(self, config: CompactConfig, shapes: PolicyShapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        self.words = nn.Embedding(shapes.vocabulary, config.word_dim, padding_idx=PAD)
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
        self.head: CodesHead | ContinuousHead | FlowHead
        if config.head == "codes":
            self.head = CodesHead(width, shapes.levels, shapes.codebook_size)
        elif config.head == "flow":
            self.head = FlowHead(width, shapes.action_horizon, shapes.action_dim)
        else:
            self.head = ContinuousHead(width, shapes.action_horizon, shapes.action_dim)

    @property
    def draws(self) -> bool:
        """Whether an answer needs noise."""
        return self.config.head == "flow"

    def features(self, batch: Batch, text: Int64[Tensor, "b l"] | None = None) -> Float[Tensor, "b f"]:
        """What the heads read; `text` takes the place of the batch's own."""
        words, state = batch["text"] if text is None else text, batch["state"]
        images = batch["images"][:, -1]
        said_BW = said(self.words, words)
        seen = [encoder(images[:, i], said_BW) for i, encoder in enumerate(self.encoders)]
        return self.trunk(torch.cat([*seen, state, said_BW], dim=1))

    def forward(self, batch: Batch) -> Tensor:
        """Codes [B, levels] or normalised actions [B, action_horizon, action_dim]."""
        features = self.features(batch)
        if isinstance(self.head, FlowHead):
            return self.head(features, batch["noise"])
        return self.head(features)

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch with its `target`."""
        words = dropped(batch["text"], self.config.word_dropout)
        return self.head.loss(self.features(batch, words), batch["target"])
