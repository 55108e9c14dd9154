"""Pre-training: text in, tokenizer and language model out, measured in bits per byte on text it never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vla_data.charts import Line, LineChart
from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, FitResult, fit
from vla_data.fit.hardware import peak_flops
from vla_data.pool import cpu_count
from vla_data.protocols import OnProgress, no_progress
from vla_data.report import Block, Code, Section, Table
from vla_model.lm.batches import TokenBatches, write_tokens
from vla_model.lm.chat import go_on
from vla_model.lm.checkpoint import SUBDIRECTORY, save_lm
from vla_model.lm.config import GPTConfig
from vla_model.lm.corpus import Corpus
from vla_model.lm.gpt import GPT
from vla_model.lm.sampling import SampleConfig
from vla_model.lm.scoring import bits_per_byte
from vla_model.lm.tokenizer import Tokenizer
from vla_model.procedures.documents import documents

TOKENS = "tokens.bin"
BATCH_TOKENS = 2**13  # at depth 4; grows with it
RATE = 4e-3  # at depth 4; falls with the root of the width
REFERENCE_DEPTH = 4


@dataclass(frozen=True)
class PretrainConfig:
    """How a language model is pre-trained. From `depth` follow width, heads, batch, rate and horizon.

    Args:
        depth: the one dial.
        vocab_size: of the tokenizer, where none is given.
        codes: action codes that get a token.
        context: most tokens in a sequence.
        procedures: so many made-up procedures of trained families are read beside the text.
        tokens: trained on in all; None: 20 for every weight that multiplies.
        holdout: share of the text held out.
        validate_bytes: at most so many held-out bytes are measured on the way; the end takes all.
        validate_every: steps between.
        prompts: what samples on the page begin with.
        fit: the training loop; its batch size, learning rate and steps follow from `depth` instead.
    """

    depth: int = 4
    vocab_size: int = 4096
    codes: int = 0
    context: int = 256
    procedures: int = 0
    tokens: int | None = None
    holdout: float = 0.02
    validate_bytes: int = 60_000
    validate_every: int = 200
    prompts: tuple[str, ...] = ("The ", "To begin with,", "If the")
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            optimizer="muon",
            weight_decay=0.0,
            betas=(0.8, 0.95),
            warmup_steps=20,
            precision="auto",
            threads=None,
            checkpoint_every=100,
        )
    )

    def __post_init__(self) -> None:
        least = min(self.depth, self.validate_bytes, self.validate_every, self.tokens or 1)
        if least < 1 or not 0 < self.holdout < 1:
            raise ConfigError(
                "a language model cannot be trained like this",
                where="PretrainConfig",
                expected="depth, tokens, validate_bytes and validate_every at least 1, holdout in (0, 1)",
                got=f"{self.depth}, {self.tokens}, {self.validate_bytes}, {self.validate_every}, "
                f"{self.holdout:g}",
            )


def _debug() -> PretrainConfig:
    base = PretrainConfig()
    fit = replace(base.fit, threads=1, warmup_steps=2, checkpoint_every=5, log_every=5)
    return replace(base, depth=1, vocab_size=512, context=64, tokens=16_000, validate_every=10, fit=fit)


PRESETS: dict[str, Callable[[], PretrainConfig]] = {
    "default": PretrainConfig,
    "debug": _debug,
    "large": lambda: PretrainConfig(depth=12, vocab_size=32_768, context=2048),
}


def derived(config: PretrainConfig, vocab_size: int) -> tuple[GPTConfig, FitConfig]:
    """The model and the training loop that follow from the dial."""
    model = GPTConfig.at_depth(config.depth, vocab_size, config.context)
    ratio = config.depth / REFERENCE_DEPTH
    rows = max(1, round(BATCH_TOKENS * ratio / config.context))
    tokens = model.horizon if config.tokens is None else config.tokens
    steps = max(1, math.ceil(tokens / (rows * config.context)))
    loop = replace(
        config.fit,
        batch_size=rows,
        learning_rate=RATE * ratio**-0.5,
        steps=steps,
        warmup_steps=min(config.fit.warmup_steps, steps // 10),
    )
    return model, loop


def pretrain(
    corpus: Corpus,
    config: PretrainConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    tokenizer: Tokenizer | None = None,
) -> tuple[dict[str, Any], list[Section]]:
    """Train a tokenizer, where none is given, and a model on the corpus; write `out/model`.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        DataError: there is too little text.
        DivergedError: the loss became NaN or infinite.
    """
    texts = [*corpus.train, *documents(config.procedures, config.fit.seed)]
    if tokenizer is None:
        tokenizer = Tokenizer.train(texts, config.vocab_size, config.codes)
    path = out / TOKENS
    count = write_tokens(texts, tokenizer, path, on_progress)
    sizes, loop = derived(config, tokenizer.vocab_size)
    torch.manual_seed(loop.seed)
    model = GPT(sizes)
    some = _some(corpus.held, config.validate_bytes)
    spoken = tokenizer

    def validate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, GPT)
        return {"bits_per_byte": bits_per_byte(module, spoken, some)}

    result = fit(
        model,
        TokenBatches(path, loop.batch_size, sizes.context, loop.seed),
        loop,
        out,
        on_progress,
        validate=validate,
        validate_every=config.validate_every,
        stage="pretrain",
    )
    path.unlink()
    model.eval()
    save_lm(out / SUBDIRECTORY, model, tokenizer, "pretrain")
    summary = _summary(model, tokenizer, corpus, count, config.procedures, loop, result)
    return summary, [_page(model, tokenizer, summary, result, config)]


def _some(documents: Sequence[str], size: int) -> list[str]:
    """Evenly over all, about `size` bytes of them."""
    total = sum(len(d.encode()) for d in documents)
    every = max(1, round(total / size))
    return list(documents[::every]) if every > 1 else list(documents)


def _summary(
    model: GPT,
    tokenizer: Tokenizer,
    corpus: Corpus,
    count: int,
    procedures: int,
    loop: FitConfig,
    result: FitResult,
) -> dict[str, Any]:
    seen = loop.steps * loop.batch_size * model.config.context
    rate = seen / result.seconds if result.seconds else 0.0
    peak, peak_from = peak_flops(loop.device, loop.threads or cpu_count())
    return {
        "depth": model.config.depth,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": tokenizer.vocab_size,
        "text_bytes": corpus.train_bytes,
        "text_tokens": count,
        "procedures": procedures,
        "steps": loop.steps,
        "tokens_seen": seen,
        "passes": round(seen / count, 2),
        "held_bytes": sum(len(d.encode()) for d in corpus.held),
        "bits_per_byte": round(bits_per_byte(model, tokenizer, corpus.held), 4),
        "tokens_per_second": round(rate, 1),
        "flops_per_second": round(rate * model.config.flops_per_token),
        "mfu": round(rate * model.config.flops_per_token / peak, 4),
        "mfu_of": peak_from,
        "train_seconds": round(result.seconds, 1),
        "skipped_files": len(corpus.skipped),
    }


def _page(
    model: GPT, tokenizer: Tokenizer, summary: Mapping[str, Any], result: FitResult, config: PretrainConfig
) -> Section:
    rows = tuple((k.replace("_", " "), v if isinstance(v, str) else f"{v:,}") for k, v in summary.items())
    blocks: list[Block] = [Table(("", "value"), rows)]
    titles = {"loss": "Training loss, nats a token", "bits_per_byte": "Held-out text, bits a byte"}
    for name, title in titles.items():
        points = result.history.get(name, [])
        if len(points) > 1:
            steps, values = zip(*points, strict=True)
            line = Line(name.replace("_", " "), tuple(map(float, steps)), values)
            blocks.append(LineChart(title, (line,), x_label="step"))
    blocks += [Code(prompt + go_on(model, tokenizer, prompt, SampleConfig(80))) for prompt in config.prompts]
    return Section("Language model", tuple(blocks))
