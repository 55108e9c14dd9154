"""Text from a language model, token by token, several answers at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vla_data.errors import ConfigError
from vla_model.lm.gpt import GPT, Cache


@dataclass(frozen=True)
class SampleConfig:
    """How tokens are drawn.

    Args:
        max_tokens: most tokens of an answer.
        temperature: 0 takes the most probable token.
        top_k: of so many most probable ones; None: of all.
        seed: of the draws.
    """

    max_tokens: int = 128
    temperature: float = 0.8
    top_k: int | None = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0 or (self.top_k is not None and self.top_k < 1):
            raise ConfigError(
                "tokens cannot be drawn like this",
                where="SampleConfig",
                expected="max_tokens and top_k at least 1, temperature at least 0",
                got=f"{self.max_tokens}, {self.top_k}, {self.temperature:g}",
            )


@torch.inference_mode()
def sample(
    model: GPT,
    prompt: Sequence[int],
    config: SampleConfig | None = None,
    *,
    count: int = 1,
    stop: Sequence[int] = (),
    on_token: Callable[[list[int]], None] | None = None,
) -> list[list[int]]:
    """Continue a prompt `count` times; answers end before a token of `stop`, or when the context is full.

    Args:
        on_token: is told the new token of every answer, -1 for those that have ended.

    Raises:
        ConfigError: the prompt is empty or longer than the context.
    """
    config = config or SampleConfig()
    if not prompt:
        raise ConfigError("there is no prompt", where="sample", expected="at least one token", got="none")
    device = model.embed.weight.device
    draws = torch.Generator(device).manual_seed(config.seed)
    cache = Cache()
    first = model(torch.tensor([list(prompt)], device=device), cache)[:, -1]
    logits, cache = first.expand(count, -1), cache.select(torch.zeros(count, dtype=torch.long, device=device))
    answers: list[list[int]] = [[] for _ in range(count)]
    open_rows = [True] * count
    for _ in range(min(config.max_tokens, model.config.context - len(prompt))):
        tokens = draw(logits, config, draws)
        listed = tokens.tolist()
        for row, token in enumerate(listed):
            open_rows[row] = open_rows[row] and token not in stop
            if open_rows[row]:
                answers[row].append(token)
        if on_token is not None:
            on_token([t if o else -1 for t, o in zip(listed, open_rows, strict=True)])
        if not any(open_rows) or cache.length >= model.config.context:
            break
        logits = model(tokens[:, None], cache)[:, -1]
    return answers


def draw(logits: Float[Tensor, "b vocab"], config: SampleConfig, draws: torch.Generator) -> Int[Tensor, "b"]:
    """A token for each row."""
    if config.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits / config.temperature
    if config.top_k is not None and config.top_k < scaled.shape[-1]:
        least = scaled.topk(config.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    return torch.multinomial(scaled.softmax(dim=-1), 1, generator=draws)[:, 0]
