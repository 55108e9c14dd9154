"""What a model says: to a question, its roles marked by special tokens; or how a text goes on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vla_data.errors import ConfigError
from vla_model.lm.gpt import GPT, IGNORED
from vla_model.lm.sampling import SampleConfig, sample
from vla_model.lm.tokenizer import Tokenizer


def prompt_tokens(tokenizer: Tokenizer, question: str) -> list[int]:
    """A question up to where the assistant begins."""
    begin, user, end, assistant = (
        tokenizer.special(name) for name in ("<|begin|>", "<|user|>", "<|end|>", "<|assistant|>")
    )
    return [begin, user, *tokenizer.encode(question), end, assistant]


def chat_batch(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], length: int) -> dict[str, Tensor]:
    """Questions with answers: `tokens` [B, T + 1] and `targets` [B, T], `IGNORED` but for answers.

    What is longer than `length` + 1 loses its end; rows are as long as the longest.
    """
    end, pad = tokenizer.special("<|end|>"), tokenizer.special("<|pad|>")
    rows = []
    for question, answer in pairs:
        asked = prompt_tokens(tokenizer, question)
        told = [*tokenizer.encode(answer), end]
        rows.append(((asked + told)[: length + 1], len(asked)))
    longest = max(len(tokens) for tokens, _ in rows)
    tokens = torch.full((len(rows), longest), pad)
    targets = torch.full((len(rows), longest - 1), IGNORED)
    for i, (row, asked) in enumerate(rows):
        values = torch.tensor(row)
        tokens[i, : len(row)] = values
        targets[i, asked - 1 : len(row) - 1] = values[asked:]
    return {"tokens": tokens, "targets": targets}


def reply(model: GPT, tokenizer: Tokenizer, question: str, config: SampleConfig | None = None) -> str:
    """What the assistant says to a question.

    Raises:
        ConfigError: the question is longer than the context.
    """
    stop = [tokenizer.special("<|end|>")]
    (said,) = sample(model, prompt_tokens(tokenizer, question), config, stop=stop)
    return tokenizer.decode(said)


def go_on(model: GPT, tokenizer: Tokenizer, text: str, config: SampleConfig | None = None) -> str:
    """How a text goes on, up to the end of a document or of the context.

    Raises:
        ConfigError: the text does not leave room for a token.
    """
    prompt = [tokenizer.special("<|begin|>"), *tokenizer.encode(text)]
    if len(prompt) >= model.config.context:
        raise ConfigError(
            "a prompt is longer than the model's context",
            where="prompt",
            expected=f"fewer than {model.config.context} tokens",
            got=str(len(prompt)),
            next_step="shorten it, or train a model with a longer context",
        )
    stop = (tokenizer.special("<|begin|>"), tokenizer.special("<|end|>"))
    (said,) = sample(model, prompt, config, stop=stop)
    return tokenizer.decode(said)
