"""`vla model tokenizer`: a tokenizer trained on text, and what it makes of text it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_data.errors import ConfigError
from vla_data.report import Code, Section, Table, Text
from vla_model.lm.corpus import Corpus
from vla_model.lm.tokenizer import SPECIAL, Tokenizer, pieces

SHOWN = 600  # characters
MARK = "·"


@dataclass(frozen=True)
class TokenizerConfig:
    """What a tokenizer is trained for.

    Args:
        vocab_size: tokens in all.
        codes: action codes that get a token, as many as the action codec has.
        holdout: share of the text held out.
    """

    vocab_size: int = 4096
    codes: int = 0
    holdout: float = 0.02

    def __post_init__(self) -> None:
        if self.codes < 0 or not 0 < self.holdout < 1:
            raise ConfigError(
                "a tokenizer cannot be trained like this",
                where="TokenizerConfig",
                expected="codes at least 0, holdout in (0, 1)",
                got=f"{self.codes}, {self.holdout:g}",
            )


PRESETS = {"default": TokenizerConfig, "debug": lambda: TokenizerConfig(512)}


def train_tokenizer(
    corpus: Corpus, config: TokenizerConfig, out: Path
) -> tuple[dict[str, Any], list[Section]]:
    """Train on the corpus and write `out/tokenizer.json`.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        ConfigError: the vocabulary is too small.
    """
    tokenizer = Tokenizer.train(corpus.train, config.vocab_size, config.codes)
    tokenizer.save(out)
    held = sum(len(d.encode()) for d in corpus.held)
    tokens = sum(len(ids) for ids in tokenizer.encode_many(corpus.held))
    summary = {
        "vocabulary": tokenizer.vocab_size,
        "special_tokens": len(SPECIAL),
        "action_codes": config.codes,
        "text_bytes": corpus.train_bytes,
        "held_bytes": held,
        "held_bytes_per_token": round(held / tokens, 3),
        "skipped_files": len(corpus.skipped),
    }
    rows = tuple((k.replace("_", " "), f"{v:,}") for k, v in summary.items())
    sample = MARK.join(pieces(tokenizer, corpus.held[0][:SHOWN]))
    told = Text(f"Held-out text in pieces, {MARK} between them:")
    blocks = (Table(("", "value"), rows), told, Code(sample))
    return summary, [Section("Tokenizer", blocks)]
