"""The VLA policy: a GPT that reads the prompt, the series and the video, and answers with actions.

Notable features:
- the prompt is read once an episode: its keys and values are kept, and within a training batch each
  different prompt is read once
- what the prompt came to modulates the convolutions that look (FiLM): the eye knows what is asked
- pictures, with depth and velocity where they are given, become tokens by TokenLearner, past actions by the
  series encoder, the state by a linear map
- the answer is action codes one after the other (`codes`), all at once (`parallel`), numbers (`continuous`),
  or noise carried to numbers (`flow`)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from vla_data.errors import ConfigError
from vla_model.lm.config import GPTConfig
from vla_model.lm.gpt import GPT, Cache, rms_norm
from vla_model.lm.tokenizer import SPECIAL
from vla_model.policies.heads import ContinuousHead, FlowHead, ParallelCodesHead
from vla_model.policies.planes import plane_count, planes_of
from vla_model.policies.shapes import Batch, PolicyShapes
from vla_model.policies.texts import PAD_TOKEN
from vla_model.prompt.episodes import PromptParts
from vla_ts.language.encoder import SeriesEncoder, SeriesEncoderConfig
from vla_vision.image_encoder import ImageEncoderConfig
from vla_vision.image_tokens import ImageTokens, wave_count, waves

FIRST_CODE = len(SPECIAL)
KEPT = 64  # prompts whose reading is kept


@dataclass(frozen=True)
class VlaConfig:
    """Sizes and switches of the VLA policy.

    Args:
        depth, width, heads: of the GPT.
        head: how it answers.
        queries: positions that the answers of `continuous` and `flow` are read from.
        video_tokens: that TokenLearner makes of a picture.
        channels, layers: of the image encoder.
        parts: what the prompt tells, and which series are given.
        text_tokens: most tokens of a prompt.
        vocab_size: pieces of text the tokenizer knows; action codes come on top.
        looks: places that one camera may look from; the policy asks for the one that shows what the task is
            about. They are cameras of the training data, whose labels tell. Empty for cameras that stand.
    """

    depth: int = 4
    width: int = 128
    heads: int = 4
    head: Literal["codes", "parallel", "continuous", "flow"] = "codes"
    queries: int = 4
    video_tokens: int = 8
    channels: int = 32
    layers: int = 2
    parts: PromptParts = field(default_factory=lambda: PromptParts(checklist=False))
    text_tokens: int = 192
    vocab_size: int = 768
    looks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.looks and (self.parts.depth or self.parts.velocity):
            raise ConfigError(
                "a policy that looks around sees colours alone",
                where="policy.looks",
                expected="parts.depth and parts.velocity off where there are looks",
                got=f"depth {self.parts.depth}, velocity {self.parts.velocity}",
            )


class VlaNetwork(nn.Module):
    """Prompt, series and pictures → codes or actions (`vla_model.policies.shapes.Batch`)."""

    def __init__(self, config: VlaConfig, shapes: PolicyShapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        eye = ImageEncoderConfig(
            shapes.height,
            shapes.width,
            config.channels,
            config.layers,
            condition_dim=config.width,
            planes=plane_count(config.parts),
        )
        self.eyes = nn.ModuleList(
            ImageTokens(eye, config.video_tokens, config.width) for _ in range(shapes.cameras)
        )
        self.state = nn.Linear(wave_count(shapes.state_dim), config.width) if config.parts.state else None
        self.series = _series(config, shapes)
        self.dims = nn.Parameter(0.02 * torch.randn(shapes.action_dim, config.width))
        self.place = nn.Parameter(0.02 * torch.randn(self.video_count, config.width))
        self.queries = nn.Parameter(torch.randn(self.query_count, config.width))
        self.view = nn.Embedding(shapes.places, config.width) if shapes.places else None
        self.look = nn.Linear(config.width, shapes.places) if shapes.places else None
        context = config.text_tokens + 2 + shapes.action_dim + self.video_count + self.query_count
        context += shapes.levels
        self.gpt = GPT(GPTConfig(shapes.vocabulary, config.depth, config.width, config.heads, context))
        self.head = _head(config, shapes)
        self._read: dict[bytes, tuple[Cache, Tensor]] = {}

    @property
    def draws(self) -> bool:
        """Whether an answer needs noise."""
        return self.config.head == "flow"

    @property
    def video_count(self) -> int:
        """Tokens of all cameras."""
        return self.shapes.cameras * self.config.video_tokens

    @property
    def query_count(self) -> int:
        """Positions that are read for an answer."""
        counts = {"codes": 1, "parallel": self.shapes.levels}
        return counts.get(self.config.head, self.config.queries)

    def train(self, mode: bool = True) -> VlaNetwork:
        """Forget what was read: weights are about to change, or just have."""
        self._read.clear()
        return super().train(mode)

    def prefix(self, text: Int64[Tensor, "n l"]) -> tuple[Cache, Float[Tensor, "n d"]]:
        """Read prompts: what is kept of them, and what each came to.

        What all of them begin with, robot and sensors, is read once.
        """
        known = text != PAD_TOKEN
        longest = int(known.sum(1).max())
        known, text = known[:, :longest], text[:, :longest]
        cache, rows = Cache(), torch.arange(len(text), device=text.device)
        same = int((text == text[0]).all(0).cumprod(0).sum()) if len(text) > 1 else 0
        # Of a prompt that another begins with, the last token is left: what it came to is read there.
        same = min(same, int(known.sum(1).min()) - 1)
        if same:
            self.gpt.features(self.gpt.embedded(text[:1, :same]), cache)
            cache = cache.select(torch.zeros_like(rows))
        features = self.gpt.features(self.gpt.embedded(text[:, same:]), cache)
        cache.known = known
        return cache, features[rows, known.sum(1) - 1 - same]

    def read(self, text: Int64[Tensor, "b l"]) -> tuple[Cache, Float[Tensor, "b d"]]:
        """`prefix` of each row, every different prompt read once; kept while nothing is trained."""
        if self.training or torch.is_grad_enabled():
            different, rows = torch.unique(text, dim=0, return_inverse=True)
            cache, told = self.prefix(different)
            return cache.select(rows), told[rows]
        readings = [self._kept(row) for row in text]
        if len(readings) == 1:
            cache, told = readings[0]
            return Cache(list(cache.keys), list(cache.values), cache.known), told
        return _joined([c for c, _ in readings]), torch.cat([t for _, t in readings])

    def _kept(self, row: Tensor) -> tuple[Cache, Tensor]:
        key = row.cpu().numpy().tobytes()
        if key not in self._read:
            if len(self._read) >= KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[key] = self.prefix(row[None])
        return self._read[key]

    def features(self, batch: Batch) -> tuple[Float[Tensor, "b q d"], Cache]:
        """What the queries found, and all that was read."""
        cache, told_BD = self.read(batch["text"])
        x_BTD = torch.cat([*self._given(batch), *self._video(batch, told_BD)], dim=1)
        queries = self.queries.expand(len(x_BTD), -1, -1)
        x_BTD = rms_norm(torch.cat([x_BTD, queries], dim=1))
        found = self.gpt.features(x_BTD, cache, start=self.config.text_tokens)
        return found[:, -self.query_count :], cache

    def _given(self, batch: Batch) -> list[Tensor]:
        """Tokens of the state, of past actions and of where is looked from."""
        given = [] if self.state is None else [self.state(waves(batch["state"]))[:, None]]
        if self.view is not None:
            given.append(self.view(batch["view"])[:, None])
        if self.series is not None:
            values = batch["past"].transpose(1, 2)
            known = torch.ones_like(values)
            start = torch.zeros(values.shape[:2], dtype=torch.long, device=values.device)
            given.append(self.series(torch.cat([values, known], dim=-1), start) + self.dims)
        return given

    def _video(self, batch: Batch, told_BD: Tensor) -> list[Tensor]:
        parts = self.config.parts
        seen = [
            eye(batch["images"][:, -1, i], told_BD, planes_of(batch, i, parts))
            for i, eye in enumerate(self.eyes)
        ]
        return [torch.cat(seen, dim=1) + self.place]

    def forward(self, batch: Batch) -> Tensor:
        """Codes [B, levels] or normalised actions [B, action_horizon, action_dim]."""
        found_BQD, cache = self.features(batch)
        if self.head is None:
            return self._spoken(found_BQD, cache)
        if isinstance(self.head, ParallelCodesHead):
            return self.head(found_BQD)
        if isinstance(self.head, FlowHead):
            return self.head(found_BQD.flatten(1), batch["noise"])
        return self.head(found_BQD.flatten(1))

    def looks(self, batch: Batch) -> Float[Tensor, "b places"]:
        """Scores of the places to look from."""
        assert self.look is not None
        return self.look(self.features(batch)[0][:, 0])

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch with its `target`."""
        found_BQD, cache = self.features(batch)
        if self.look is None:
            return self._answer_loss(found_BQD, cache, batch["target"], batch.get("mask"))
        scores, rows = self.look(found_BQD[:, 0]), torch.nonzero(batch["acts"])[:, 0]
        looked = F.cross_entropy(scores, batch["look"])
        right = (scores.argmax(-1) == batch["look"]).float().mean().detach()
        if not len(rows):
            return {"loss": looked, "look_accuracy": right}
        told = self._answer_loss(found_BQD[rows], cache.select(rows), batch["target"][rows])
        return {**told, "loss": told["loss"] + looked, "look_accuracy": right}

    def _answer_loss(
        self, found_BQD: Tensor, cache: Cache, target: Tensor, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        if self.head is None:
            return self._code_loss(found_BQD, cache, target)
        if isinstance(self.head, ParallelCodesHead):
            return self.head.loss(found_BQD, target)
        return self.head.loss(found_BQD.flatten(1), target, mask)

    def _code_logits(self, features_BTD: Tensor, first: int) -> Float[Tensor, "b t codebook"]:
        """Of the codes of levels from `first` on, one a position."""
        size = self.shapes.codebook_size
        logits = self.gpt.logits(features_BTD)[..., FIRST_CODE : FIRST_CODE + self.shapes.levels * size]
        levels = torch.arange(first, first + features_BTD.shape[1], device=features_BTD.device)
        by_level = logits.unflatten(-1, (self.shapes.levels, size))
        return by_level[:, torch.arange(len(levels), device=levels.device), levels]

    def _code_tokens(self, codes: Int64[Tensor, "b n"], first: int) -> Int64[Tensor, "b n"]:
        """Tokens of codes: each level has its own."""
        levels = torch.arange(first, first + codes.shape[1], device=codes.device)
        return FIRST_CODE + levels * self.shapes.codebook_size + codes

    def _code_loss(self, found: Tensor, cache: Cache, codes: Int64[Tensor, "b levels"]) -> dict[str, Tensor]:
        spoken = self.gpt.embedded(self._code_tokens(codes[:, :-1], 0))
        start = self.config.text_tokens + self._suffix
        rest = self.gpt.features(spoken, cache, start=start) if codes.shape[1] > 1 else found[:, :0]
        logits = self._code_logits(torch.cat([found, rest], dim=1), 0)
        accuracy = (logits[:, 0].argmax(-1) == codes[:, 0]).float().mean()
        loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten()) * codes.shape[1]
        return {"loss": loss, "code_accuracy": accuracy.detach()}

    def _spoken(self, found: Tensor, cache: Cache) -> Int64[Tensor, "b levels"]:
        codes: list[Tensor] = []
        for level in range(self.shapes.levels):
            codes.append(self._code_logits(found, level)[:, 0].argmax(-1))
            if level + 1 < self.shapes.levels:
                token = self._code_tokens(codes[-1][:, None], level)
                start = self.config.text_tokens + self._suffix + level
                found = self.gpt.features(self.gpt.embedded(token), cache, start=start)
        return torch.stack(codes, dim=1)

    @property
    def _suffix(self) -> int:
        """Positions between the prompt and the codes."""
        given = (
            (self.state is not None)
            + (self.view is not None)
            + self.shapes.action_dim * (self.series is not None)
        )
        return given + self.video_count + self.query_count


def _series(config: VlaConfig, shapes: PolicyShapes) -> SeriesEncoder | None:
    """A token for the past of each dimension of the action."""
    if not config.parts.past_steps:
        return None
    return SeriesEncoder(SeriesEncoderConfig(config.width, shapes.past, (128,), frequencies=0))


def _head(config: VlaConfig, shapes: PolicyShapes) -> ParallelCodesHead | ContinuousHead | FlowHead | None:
    """None for `codes`: the GPT's own output speaks them."""
    if config.head == "codes":
        return None
    if config.head == "parallel":
        return ParallelCodesHead(config.width, shapes.levels, shapes.levels, shapes.codebook_size)
    made = FlowHead if config.head == "flow" else ContinuousHead
    return made(config.queries * config.width, shapes.action_horizon, shapes.action_dim)


def _joined(caches: list[Cache]) -> Cache:
    """Caches of one row each as one, padded behind their ends."""
    longest = max(c.length for c in caches)

    def padded(parts: list[Tensor]) -> Tensor:
        return torch.cat([F.pad(p, (0, 0, 0, longest - p.shape[2])) for p in parts])

    layers = range(len(caches[0].keys))
    known = [F.pad(c.known, (0, longest - c.length)) for c in caches if c.known is not None]
    return Cache(
        [padded([c.keys[i] for c in caches]) for i in layers],
        [padded([c.values[i] for c in caches]) for i in layers],
        torch.cat(known),
    )
