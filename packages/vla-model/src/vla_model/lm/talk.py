"""What a language model says to a text."""

from __future__ import annotations

from vla_data.errors import ConfigError
from vla_model.lm.gpt import GPT
from vla_model.lm.sampling import SampleConfig, sample
from vla_model.lm.tokenizer import Tokenizer


def answer(model: GPT, tokenizer: Tokenizer, text: str, config: SampleConfig | None = None) -> str:
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
