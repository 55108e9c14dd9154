"""A policy on a Hugging Face backbone: any language model, or the language part of a vision-language model,
with LoRA (Hu et al. 2021, arXiv:2106.09685) by peft, and our eyes and heads.

Notable features:
- the backbone is read from a directory, or from the local hub cache; nothing is fetched unless asked for
- what is not trained is not saved: a checkpoint holds LoRA, eyes and heads, and the sha256 of the backbone's
  weights, which are looked for where they were and compared
- the prompt is text with its marks spelled out, tokenised by the backbone's own tokenizer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_data.types import Camera, InputSpec
from vla_model.policies.heads import ContinuousHead, FlowHead
from vla_model.policies.hf_backbone import digest, load_backbone, load_tokenizer, located
from vla_model.policies.shapes import Batch, PolicyShapes
from vla_model.policies.texts import Told, first_pieces, padded, within
from vla_model.prompt.episodes import PromptParts, prompt_for
from vla_model.prompt.render import as_text, prompt_pieces
from vla_vision.image_encoder import ImageEncoderConfig
from vla_vision.image_tokens import ImageTokens, wave_count, waves

TOKENIZER = "tokenizer"
BACKBONE = "backbone."
PADDING = -1


@dataclass(frozen=True)
class HfConfig:
    """Sizes and switches of a policy on a Hugging Face backbone.

    Args:
        backbone: directory of a model in the transformers layout, or its name on the hub.
        download: fetch it where it is not in the local cache.
        lora_rank: of the low-rank updates of all linear layers; 0 trains the whole backbone.
        head, queries, video_tokens, channels, layers, parts, text_tokens: as of the VLA policy.
        sha256: of the backbone's weights, filled in when training begins.
    """

    backbone: str = ""
    download: bool = False
    lora_rank: int = 16
    head: Literal["continuous", "flow"] = "continuous"
    queries: int = 4
    video_tokens: int = 8
    channels: int = 32
    layers: int = 2
    parts: PromptParts = field(
        default_factory=lambda: PromptParts(robot=False, cameras=False, checklist=False)
    )
    text_tokens: int = 160
    sha256: str = ""

    def __post_init__(self) -> None:
        parts = self.parts
        if self.lora_rank < 0 or parts.past_steps or parts.depth or parts.velocity:
            raise ConfigError(
                "a policy cannot stand on a backbone like this",
                where="HfConfig",
                expected="lora_rank of at least 0, no past actions, depth or velocity",
                got=f"lora_rank {self.lora_rank}, past_steps {parts.past_steps}, depth {parts.depth}, "
                f"velocity {parts.velocity}",
            )


class HfNetwork(nn.Module):
    """Prompt, state and pictures → actions, by somebody else's transformer."""

    def __init__(self, config: HfConfig, shapes: PolicyShapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        place = located(config.backbone, config.download)
        self.backbone = load_backbone(place, config.sha256, config.lora_rank)
        table = self.backbone.get_input_embeddings().weight.detach()
        width = int(table.shape[1])
        self.scale = float(table.float().square().mean().sqrt())  # of what the backbone is used to
        eye = ImageEncoderConfig(
            shapes.height, shapes.width, config.channels, config.layers, condition_dim=width
        )
        self.eyes = nn.ModuleList(ImageTokens(eye, config.video_tokens, width) for _ in range(shapes.cameras))
        self.state = nn.Linear(wave_count(shapes.state_dim), width) if config.parts.state else None
        self.place = nn.Parameter(0.02 * torch.randn(shapes.cameras * config.video_tokens, width))
        self.queries = nn.Parameter(0.02 * torch.randn(config.queries, width))
        self.norm = nn.LayerNorm(width)
        made = FlowHead if config.head == "flow" else ContinuousHead
        self.head = made(config.queries * width, shapes.action_horizon, shapes.action_dim)
        self.register_state_dict_post_hook(_leave_frozen)
        self.register_load_state_dict_post_hook(_allow_frozen)

    @property
    def draws(self) -> bool:
        """Whether an answer needs noise."""
        return self.config.head == "flow"

    def features(self, batch: Batch) -> Float[Tensor, "b f"]:
        """What the queries found."""
        text = batch["text"]
        known = text != PADDING
        longest = int(known.sum(1).max())
        known, text = known[:, :longest], text[:, :longest].clamp(min=0)
        words = self.backbone.get_input_embeddings()(text)
        said = (words * known[..., None]).sum(1) / known.sum(1, keepdim=True)
        seen = [eye(batch["images"][:, -1, i], said / self.scale) for i, eye in enumerate(self.eyes)]
        given = [] if self.state is None else [self.state(waves(batch["state"]))[:, None]]
        given += [torch.cat(seen, dim=1) + self.place, self.queries.expand(len(text), -1, -1)]
        ours = self.scale * nn.functional.rms_norm(torch.cat(given, dim=1), (words.shape[-1],))
        mask = torch.cat([known, known.new_ones(len(text), ours.shape[1])], dim=1).long()
        found = self.backbone(
            inputs_embeds=torch.cat([words, ours.to(words.dtype)], dim=1),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
        )
        return self.norm(found.last_hidden_state[:, -len(self.queries) :]).flatten(1)

    def forward(self, batch: Batch) -> Float[Tensor, "b h a"]:
        """Normalised actions."""
        features = self.features(batch)
        if isinstance(self.head, FlowHead):
            return self.head(features, batch["noise"])
        return self.head(features)

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch with its `target`."""
        return self.head.loss(self.features(batch), batch["target"])


@dataclass(frozen=True, eq=False)
class HfTexts:
    """The prompt an instruction makes, by the backbone's own tokenizer; −1 behind its end."""

    tokenizer: Any
    spec: InputSpec
    parts: PromptParts
    length: int
    cameras: tuple[Camera, ...] = ()

    @property
    def size(self) -> int:
        return len(self.tokenizer)

    def tokens(self, instruction: str) -> list[int]:
        """Of one prompt, up to the first picture or series.

        Raises:
            ConfigError: it is longer than `length`.
        """
        prompt = prompt_for(self.spec, instruction, self.parts, self.cameras)
        text = as_text(first_pieces(prompt))
        found = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return within(found, self.length, instruction)

    def shown(self, instruction: str) -> str:
        """The whole prompt."""
        return as_text(prompt_pieces(prompt_for(self.spec, instruction, self.parts, self.cameras)))

    def encode(self, instructions: Sequence[str]) -> Int64[np.ndarray, "n length"]:
        """Tokens of each prompt."""
        return padded([self.tokens(said) for said in instructions], self.length, PADDING)

    def save(self, directory: Path) -> None:
        """The tokenizer, and what is told beside the instruction."""
        self.tokenizer.save_pretrained(directory / TOKENIZER)
        Told(self.parts, self.length, self.cameras).save(directory)

    @classmethod
    def load(cls, directory: Path, spec: InputSpec) -> HfTexts:
        """As `save` wrote it."""
        told = Told.load(directory)
        tokenizer = load_tokenizer(directory / TOKENIZER)
        return cls(tokenizer, spec, told.parts, told.length, told.cameras)


def texts_of(config: HfConfig, spec: InputSpec, cameras: tuple[Camera, ...]) -> HfTexts:
    """Texts by the tokenizer that lies beside the backbone."""
    tokenizer = load_tokenizer(located(config.backbone, config.download))
    return HfTexts(tokenizer, spec, config.parts, config.text_tokens, cameras)


def with_digest(config: HfConfig) -> HfConfig:
    """The configuration with the sha256 of the backbone's weights.

    Raises:
        ConfigError: no backbone is named.
        CheckpointError: there are no safetensors weights.
    """
    return replace(config, sha256=digest(located(config.backbone, config.download)))


def _leave_frozen(module: nn.Module, state: dict[str, Any], prefix: str, local: Any) -> None:
    """Drop what is not trained from a state that is being saved."""
    frozen = {prefix + name for name, p in module.named_parameters() if not p.requires_grad}
    held = {prefix + name for name, _ in module.named_buffers() if name.startswith(BACKBONE)}
    for name in frozen | held:
        state.pop(name, None)


def _allow_frozen(module: nn.Module, keys: Any) -> None:
    """What is not trained is not missing from a state that is loaded."""
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    wrapped = "module."  # within the training loop
    keys.missing_keys[:] = [
        k
        for k in keys.missing_keys
        if k.removeprefix(wrapped) in trained or not k.removeprefix(wrapped).startswith(BACKBONE)
    ]
