"""Action heads: what turns features into a chunk of actions.

`CodesHead` answers in the codes of an action codec, one residual level after the other, `ParallelCodesHead`
in all at once; `ContinuousHead` and `FlowHead` answer with the numbers themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

TIME_WAVES = 8  # sines and cosines that say how far noise has come
FLOW_LAYERS = 3
DRAWS = 4  # times and noises that each sample of a batch is seen at


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

    def loss(
        self, features: Float[Tensor, "b f"], actions: Float[Tensor, "b h a"], mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean absolute error in normalised units, of what the mask (bool [b h a]) says is there."""
        return {"loss": _masked_mean((self(features) - actions).abs(), mask)}

    def forward(self, features: Float[Tensor, "b f"]) -> Float[Tensor, "b h a"]:
        """The chunk, in normalised units."""
        return self.out(features).unflatten(-1, self.shape)


class ParallelCodesHead(nn.Module):
    """Features of queries [B, Q, W] → all codes at once, [B, levels]; Q divides levels.

    No code knows of another: what RT-1 does with its bins (Brohan et al. 2022, arXiv:2212.06817).
    """

    def __init__(self, width: int, queries: int, levels: int, codebook_size: int) -> None:
        super().__init__()
        self.shape = (levels, codebook_size)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, levels // queries * codebook_size)

    def logits(self, features: Float[Tensor, "b q w"]) -> Float[Tensor, "b levels codebook"]:
        """Of every code."""
        return self.out(self.norm(features)).view(len(features), *self.shape)

    def loss(self, features: Float[Tensor, "b q w"], codes: Int64[Tensor, "b levels"]) -> dict[str, Tensor]:
        """Mean cross-entropy of the levels, and the accuracy of all codes."""
        logits = self.logits(features)
        accuracy = (logits.argmax(-1) == codes).float().mean()
        loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
        return {"loss": loss, "code_accuracy": accuracy.detach()}

    def forward(self, features: Float[Tensor, "b q w"]) -> Int64[Tensor, "b levels"]:
        """The most likely code of each level."""
        return self.logits(features).argmax(-1)


class FlowHead(nn.Module):
    """Features [B, F] and noise → normalised actions [B, action_horizon, action_dim], by a velocity field
    that carries noise to actions along straight lines (flow matching, Lipman et al. 2022, arXiv:2210.02747),
    trained at times that favour noise as in π0 (Black et al. 2024, arXiv:2410.24164).
    """

    def __init__(
        self, feature_dim: int, action_horizon: int, action_dim: int, hidden: int = 256, steps: int = 8
    ) -> None:
        super().__init__()
        self.shape, self.steps = (action_horizon, action_dim), steps
        size = action_horizon * action_dim
        self.times = nn.Linear(2 * TIME_WAVES, hidden)
        self.noisy = nn.Linear(size, hidden)
        self.seen = nn.Linear(feature_dim, hidden)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden)
            )
            for _ in range(FLOW_LAYERS)
        )
        self.out = nn.Linear(hidden, size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def velocity(self, features: Tensor, actions_BHA: Tensor, time_B: Tensor) -> Float[Tensor, "b h a"]:
        """Where actions go at a time from 0 (noise) to 1."""
        waves = torch.arange(TIME_WAVES, device=time_B.device) + 1
        angle_BW = time_B[:, None] * waves * torch.pi
        time_BD = self.times(torch.cat([angle_BW.sin(), angle_BW.cos()], dim=-1))
        x_BD = self.seen(features) + self.noisy(actions_BHA.flatten(1)) + time_BD
        for layer in self.layers:
            x_BD = x_BD + layer(x_BD)
        return self.out(x_BD).unflatten(-1, self.shape)

    def loss(
        self, features: Float[Tensor, "b f"], actions: Float[Tensor, "b h a"], mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error of the velocity, at `DRAWS` times of each sample, of what is there."""
        mask = None if mask is None else mask.repeat(DRAWS, 1, 1)
        features, actions = features.repeat(DRAWS, 1), actions.repeat(DRAWS, 1, 1)
        noise = torch.randn_like(actions)
        time_B = 1 - torch.rand(len(actions), device=actions.device).pow(1 / 1.5)
        between = torch.lerp(noise, actions, time_B[:, None, None])
        error = self.velocity(features, between, time_B) - (actions - noise)
        return {"loss": _masked_mean(error.square(), mask)}

    def forward(
        self, features: Float[Tensor, "b f"], noise: Float[Tensor, "b h a"]
    ) -> Float[Tensor, "b h a"]:
        """Noise carried to actions in `steps` steps."""
        actions = noise
        for i in range(self.steps):
            time_B = torch.full((len(noise),), i / self.steps, device=noise.device)
            actions = actions + self.velocity(features, actions, time_B) / self.steps
        return actions


def _masked_mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of all errors, or of those that a mask of the same shape says are there."""
    if mask is None:
        return errors.mean()
    return (errors * mask).sum() / mask.sum().clamp(min=1)
