"""Action heads: what turns a feature vector into a chunk of actions.

`CodesHead` answers in the codes of an action codec, one residual level after the other; `ContinuousHead`
answers with the numbers themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F


class CodesHead(nn.Module):
    """Features [B, F] → codes [B, levels].

    Residual codes mean little without the coarser ones before them, so each level is predicted from the
    features and the embedded codes of the levels above.
    """

    def __init__(self, feature_dim: int, levels: int, codebook_size: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(codebook_size, feature_dim) for _ in range(levels - 1))
        self.levels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(feature_dim), nn.Linear(feature_dim, codebook_size))
            for _ in range(levels)
        )
        for embedding in self.embeddings:
            nn.init.normal_(embedding.weight, std=0.02)  # type: ignore[arg-type]

    def loss(self, features: Float[Tensor, "b f"], codes: Int64[Tensor, "b levels"]) -> dict[str, Tensor]:
        """Cross-entropy summed over levels, coarser codes given; and the accuracy of the first level."""
        total = features.new_zeros(())
        accuracy = features.new_zeros(())
        for i, level in enumerate(self.levels):
            logits = level(features)
            total = total + F.cross_entropy(logits, codes[:, i])
            if i == 0:
                accuracy = (logits.argmax(-1) == codes[:, 0]).float().mean()
            if i < len(self.embeddings):
                features = features + self.embeddings[i](codes[:, i])
        return {"loss": total, "code_accuracy": accuracy.detach()}

    def forward(self, features: Float[Tensor, "b f"]) -> Int64[Tensor, "b levels"]:
        """The most likely code of each level, coarsest first."""
        codes = []
        for i, level in enumerate(self.levels):
            code = level(features).argmax(-1)
            codes.append(code)
            if i < len(self.embeddings):
                features = features + self.embeddings[i](code)
        return torch.stack(codes, dim=1)


class ContinuousHead(nn.Module):
    """Features [B, F] → normalised actions [B, action_horizon, action_dim], trained with an L1 loss."""

    def __init__(self, feature_dim: int, action_horizon: int, action_dim: int) -> None:
        super().__init__()
        self.shape = (action_horizon, action_dim)
        self.out = nn.Linear(feature_dim, action_horizon * action_dim)

    def loss(self, features: Float[Tensor, "b f"], actions: Float[Tensor, "b h a"]) -> dict[str, Tensor]:
        """Mean absolute error in normalised units."""
        return {"loss": (self(features) - actions).abs().mean()}

    def forward(self, features: Float[Tensor, "b f"]) -> Float[Tensor, "b h a"]:
        """The chunk, in normalised units."""
        return self.out(features).unflatten(-1, self.shape)
