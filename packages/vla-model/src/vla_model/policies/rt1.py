"""RT-1 at a size that trains on a CPU (Brohan et al. 2022, arXiv:2212.06817).

Notable features, as there:
- the instruction modulates the convolutions of the image encoder (FiLM)
- TokenLearner makes a few tokens of each picture; with `tokens=0` every cell is a token
- a transformer over the tokens of several moments, each of which sees those before it
- actions in bins, all of them at once

Other than there: the encoder is small and trained from nothing, the state of the robot is one more token, and
a chunk of actions is answered, one query each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vla_model.policies.heads import ParallelCodesHead
from vla_model.policies.instruction import dropped, said
from vla_model.policies.shapes import Batch, PolicyShapes
from vla_model.words import PAD
from vla_vision.image_encoder import ImageEncoderConfig
from vla_vision.image_tokens import ImageTokens


@dataclass(frozen=True)
class RT1Config:
    """Sizes and switches of RT-1.

    Args:
        history: moments it looks at (6 there).
        tokens: that TokenLearner makes of a picture (8 there); 0 for none of it.
        channels, layers: of the image encoder.
        word_dim: of word vectors and of the condition.
        width, depth, heads: of the transformer.
        word_dropout: chance that a word of the instruction is left out in training.
    """

    history: int = 2
    tokens: int = 8
    channels: int = 32
    layers: int = 2
    word_dim: int = 64
    width: int = 128
    depth: int = 4
    heads: int = 4
    word_dropout: float = 0.1


class RT1Network(nn.Module):
    """Pictures of several moments, state and words → bins of a chunk of actions."""

    order: Tensor
    draws = False

    def __init__(self, config: RT1Config, shapes: PolicyShapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        self.words = nn.Embedding(shapes.vocabulary, config.word_dim, padding_idx=PAD)
        encoder = ImageEncoderConfig(
            shapes.height, shapes.width, config.channels, config.layers, condition_dim=config.word_dim
        )
        self.eyes = nn.ModuleList(
            ImageTokens(encoder, config.tokens, config.width) for _ in range(shapes.cameras)
        )
        self.state = nn.Linear(shapes.state_dim, config.width)
        self.moment = nn.Parameter(0.02 * torch.randn(shapes.history, 1, config.width))
        counts = [eye.count for eye in self.eyes if isinstance(eye, ImageTokens)]
        self.place = nn.Parameter(0.02 * torch.randn(sum(counts), config.width))
        self.queries = nn.Parameter(0.02 * torch.randn(shapes.action_horizon, config.width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                4 * config.width,
                0.0,
                nn.functional.gelu,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.depth)
        )
        self.head = ParallelCodesHead(
            config.width, shapes.action_horizon, shapes.levels, shapes.codebook_size
        )
        self.register_buffer("order", self._order(sum(counts)), persistent=False)

    def _order(self, count: int) -> Bool[Tensor, "t t"]:
        """True where a token may not look: at later moments, of which the queries are the last."""
        moments = torch.arange(self.shapes.history).repeat_interleave(count)
        last = torch.full((1 + self.shapes.action_horizon,), self.shapes.history)
        times = torch.cat([moments, last])
        return times[None] > times[:, None]

    def features(self, batch: Batch, text: Tensor | None = None) -> Float[Tensor, "b q w"]:
        """What the queries found."""
        said_BW = said(self.words, batch["text"] if text is None else text)
        images = batch["images"]
        size, history = images.shape[:2]
        told = said_BW.repeat_interleave(history, dim=0)
        seen = [eye(images[:, :, i].flatten(0, 1), told) for i, eye in enumerate(self.eyes)]
        video = (torch.cat(seen, dim=1) + self.place).unflatten(0, (size, history)) + self.moment
        state = self.state(batch["state"])[:, None]
        x_BTW = torch.cat([video.flatten(1, 2), state, self.queries.expand(size, -1, -1)], dim=1)
        for layer in self.layers:
            x_BTW = layer(x_BTW, src_mask=self.order)
        return x_BTW[:, -len(self.queries) :]

    def forward(self, batch: Batch) -> Tensor:
        """Codes [B, levels]."""
        return self.head(self.features(batch))

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch with its `target`."""
        words = dropped(batch["text"], self.config.word_dropout)
        return self.head.loss(self.features(batch, words), batch["target"])
