"""What else training asks of tokens: the row of each object, and where the things of each class truly are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.inputs import FAR, FAST, row_inputs, row_width, squash
from vla_vision.encoder.reconstruction import TokenReader
from vla_vision.encoder.tokens import Batch, Tokens
from vla_vision.encoder.train_config import DecoderConfig


class RowHead(nn.Module):
    """The row of each object token, read off by one linear layer: numbers, class and identity."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        features = config.features
        self.sizes = [row_width(features.look_dim), features.classes, features.rows]
        self.read = nn.Linear(config.width, sum(self.sizes))

    def loss(self, values: Float[Tensor, "b n w"], batch: Batch) -> Tensor:
        """Mean squared error of the numbers plus a tenth of the cross-entropies, over valid rows."""
        latest = {
            name: a[:, -1] for name, a in batch.items() if name.startswith("objects.") or name == "in_world"
        }
        valid = latest["objects.valid"]
        numbers, kinds, slots = self.read(values)[valid].float().split(self.sizes, dim=-1)
        count = max(1, len(numbers))
        off = (numbers - row_inputs(latest)[valid]).square().mean(-1).sum() / count
        named = functional.cross_entropy(kinds, latest["objects.kinds"][valid], reduction="sum")
        known = functional.cross_entropy(slots, latest["objects.slots"][valid], reduction="sum")
        return off + 0.1 * (named + known) / count


class LabelHead(nn.Module):
    """A query a class: is it in sight, where is it, how does it move."""

    def __init__(self, config: EncoderConfig, decoder: DecoderConfig) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.5 * torch.randn(len(config.features.class_names), decoder.dim))
        self.read = TokenReader(config.width, decoder)
        self.out = nn.Linear(decoder.dim, 7)

    def forward(self, tokens: Tokens) -> Float[Tensor, "b c 7"]:
        """Logit of being in sight, squashed position and velocity in the camera's axes."""
        return self.out(self.read(self.queries.expand(len(tokens.values), -1, -1), tokens))

    def loss(self, tokens: Tokens, batch: Batch) -> Tensor:
        """Cross-entropy of being in sight plus absolute errors of what is."""
        said, visible = self(tokens).float(), batch["truth.visible"]
        true = torch.cat(
            [squash(batch["truth.position"], FAR), squash(batch["truth.velocity"], FAST)], dim=-1
        )
        in_sight = functional.binary_cross_entropy_with_logits(said[..., 0], visible.float())
        off = (said[..., 1:] - true).abs().sum(-1) * visible
        return in_sight + off.sum() / visible.sum().clamp(min=1)
