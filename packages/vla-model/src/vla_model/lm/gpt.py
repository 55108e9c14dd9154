"""A small GPT.

Notable features:
- rotary positions, no learned ones (Su et al. 2021, arXiv:2104.09864)
- norms without parameters: RMSNorm before every block, and of queries and keys (QK-norm)
- ReLU² in the feed-forward part (So et al. 2021, arXiv:2109.08668)
- embedding and output are different matrices; the embedding is normalised
- outputs are soft-capped, so that a logit never runs away
- inputs may be vectors as well as tokens: what sees and what reads series gives its own
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_model.lm.config import GPTConfig

CAP = 15.0
ROTARY_BASE = 10_000.0
IGNORED = -1  # target of what is not to be learned


@dataclass
class Cache:
    """Keys and values of what was read, layer by layer, [B, heads, length, head width].

    Args:
        known: bool [B, length], false for padding, which nothing looks at; None where there is none.
    """

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    known: Tensor | None = None

    @property
    def length(self) -> int:
        """Positions read so far."""
        return self.keys[0].shape[2] if self.keys else 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append to a layer; all it holds now."""
        if layer == len(self.keys):
            self.keys.append(keys)
            self.values.append(values)
        else:
            self.keys[layer] = torch.cat([self.keys[layer], keys], dim=2)
            self.values[layer] = torch.cat([self.values[layer], values], dim=2)
        return self.keys[layer], self.values[layer]

    def select(self, rows: Tensor) -> Cache:
        """The cache of these rows of the batch, which may repeat."""
        known = None if self.known is None else self.known[rows]
        return Cache([k[rows] for k in self.keys], [v[rows] for v in self.values], known)

    def mask(self, asked: int) -> Tensor | None:
        """What each of `asked` new positions may look at, [B or 1, 1, asked, all]; None for all of it."""
        if self.known is None and asked == 1:
            return None
        device, past = self.keys[0].device, self.length
        seen = torch.ones(asked, past + asked, dtype=torch.bool, device=device).tril(past)[None, None]
        if self.known is None:
            return seen
        new = torch.ones(len(self.known), asked, dtype=torch.bool, device=device)
        return seen & torch.cat([self.known, new], dim=1)[:, None, None]


class Attention(nn.Module):
    """Causal self-attention with rotary positions and normalised queries and keys."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], mask: dict, layer: int, cache: Cache | None
    ) -> Float[Tensor, "b t d"]:
        q_BTD, k_BTD, v_BTD = self.qkv(x_BTD).chunk(3, dim=-1)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q_BTD, k_BTD, v_BTD))
        q, k = (rms_norm(rotate(x, *rotary)) for x in (q, k))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mixed = F.scaled_dot_product_attention(q, k, v, **mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then a feed-forward part, each beside a straight path."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.up = nn.Linear(config.width, 4 * config.width, bias=False)
        self.down = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(
        self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], mask: dict, layer: int, cache: Cache | None
    ) -> Float[Tensor, "b t d"]:
        x_BTD = x_BTD + self.attention(rms_norm(x_BTD), rotary, mask, layer, cache)
        return x_BTD + self.down(F.relu(self.up(rms_norm(x_BTD))).square())


class GPT(nn.Module):
    """Tokens (or vectors in their place) → logits of the next token."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        cos, sin = rotary_tables(config.context, config.width // config.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Outputs of blocks and of the model begin at zero: each layer begins as the identity."""
        spread = 3**0.5 * self.config.width**-0.5
        nn.init.normal_(self.embed.weight, std=1.0)
        nn.init.zeros_(self.head.weight)
        for block in self.layers():
            nn.init.uniform_(block.attention.qkv.weight, -spread, spread)
            nn.init.uniform_(block.up.weight, -spread, spread)
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.down.weight)

    def layers(self) -> Iterator[Block]:
        """The blocks, typed."""
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block

    def embedded(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """The vectors of tokens, as the layers take them; other vectors are to be of the same size."""
        return rms_norm(self.embed(tokens))

    def features(
        self,
        x_BTD: Float[Tensor, "b t d"],
        cache: Cache | None = None,
        start: int | None = None,
        layers: list[Tensor] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """What the last layer says at every position.

        Args:
            cache: of what came before; is extended.
            start: position of the first; None for the one after the cache. Where what came before is padded,
                a fixed one makes answers the same whatever the padding.
            layers: gets what every layer says.

        Raises:
            ConfigError: more positions than the context has.
        """
        past = cache.length if cache is not None else 0
        start = past if start is None else start
        stop = start + x_BTD.shape[1]
        if stop > self.config.context:
            raise ConfigError(
                "a sequence is longer than the context",
                where="GPT",
                expected=f"at most {self.config.context} positions",
                got=str(stop),
                next_step="shorten the prompt, or train with a longer context",
            )
        assert isinstance(self.cos, Tensor)
        assert isinstance(self.sin, Tensor)
        rotary = (self.cos[start:stop], self.sin[start:stop])
        asked = x_BTD.shape[1]
        mask = {"attn_mask": cache.mask(asked)} if cache is not None and past else {"is_causal": asked > 1}
        for layer, block in enumerate(self.layers()):
            x_BTD = block(x_BTD, rotary, mask, layer, cache)
            if layers is not None:
                layers.append(x_BTD)
        if cache is not None and cache.known is not None:
            new = torch.ones(len(x_BTD), asked, dtype=torch.bool, device=x_BTD.device)
            cache.known = torch.cat([cache.known, new], dim=1)
        return rms_norm(x_BTD)

    def logits(self, features: Float[Tensor, "*b d"]) -> Float[Tensor, "*b vocab"]:
        """Of the next token, float32."""
        return CAP * torch.tanh(self.head(features).float() / CAP)

    def forward(self, tokens: Int[Tensor, "b t"], cache: Cache | None = None) -> Float[Tensor, "b t vocab"]:
        return self.logits(self.features(self.embedded(tokens), cache))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tokens` int [B, T + 1]; `targets` int [B, T] hold `IGNORED` where nothing is to be learned."""
        tokens = batch["tokens"].long()
        targets = batch["targets"].long() if "targets" in batch else tokens[:, 1:]
        logits = self(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        return {"loss": loss}

    def optimizer_groups(self) -> list[dict]:
        """Matrices of layers for Muon; embedding and output for AdamW, at rates of their own."""
        matrices = [p for block in self.layers() for p in block.parameters()]
        return [
            {"params": matrices, "muon": True},
            {"params": [self.embed.weight], "rate": 20.0, "weight_decay": 0.0},
            {"params": [self.head.weight], "rate": 0.4, "weight_decay": 0.0},
        ]


def rms_norm(x: Tensor) -> Tensor:
    """Scaled to a root mean square of 1 over the last axis."""
    return F.rms_norm(x, (x.shape[-1],))


def rotary_tables(length: int, width: int) -> tuple[Float[Tensor, "t half"], Float[Tensor, "t half"]]:
    """Cosines and sines of every position and frequency."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, width, 2).float() / width)
    angles = torch.arange(length).float()[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Float[Tensor, "b h t w"], cos: Tensor, sin: Tensor) -> Float[Tensor, "b h t w"]:
    """Pairs of numbers turned by the angle of their position."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)
