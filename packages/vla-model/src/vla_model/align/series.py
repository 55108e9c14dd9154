"""The training behind `vla model align --series`: a series encoder aligned with a language model on questions
about made-up series, as in ChatTS (Xie et al. 2024, arXiv:2412.03104).

The encoder first, in front of a language model that stays as it is; then both. Series, questions and answers
come from `vla_ts.language`; the held-out split is of combinations of attributes that training never shows.
Measured beside the same model with the series of another question, and beside the commonest answer of a kind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vla_data.charts import Line, LineChart
from vla_data.errors import ConfigError
from vla_data.files import atomic_directory
from vla_data.fit import FitConfig, FitResult, fit, load_weights, save_weights
from vla_data.protocols import OnProgress, no_progress
from vla_data.report import Block, Code, Section, Table
from vla_model.align.config import require_one_device
from vla_model.lm.checkpoint import load_lm, save_lm
from vla_model.lm.gpt import GPT, rms_norm
from vla_model.lm.tokenizer import Tokenizer
from vla_model.records import finish, opened
from vla_model.statistics import wilson_interval
from vla_ts.language.batches import IGNORED, SeriesBatch, collate, prepare
from vla_ts.language.encoder import SeriesEncoder, SeriesEncoderConfig
from vla_ts.language.generator import GeneratorConfig, SeriesExample, SeriesGenerator
from vla_ts.language.splicing import splice

SUBDIRECTORY, RECORD, WEIGHTS, FIRST = "series", "series.json", "encoder.safetensors", "encoder"
TOGETHER = 64  # questions judged at once


@dataclass(frozen=True)
class SeriesAlignConfig:
    """How a series encoder is aligned.

    Args:
        generator: the series and questions.
        patch_len: steps in a patch.
        hidden: widths of the encoder's layers.
        judged: held-out questions that are measured.
        first: the training of the encoder alone; both: of encoder and language model.
        shown: questions on the page.
    """

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    patch_len: int = 4
    hidden: tuple[int, ...] = (256, 256)
    judged: int = 1000
    first: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=300, batch_size=32, learning_rate=1e-3, warmup_steps=20, checkpoint_every=100
        )
    )
    both: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=4000,
            batch_size=32,
            learning_rate=6e-4,
            weight_decay=1e-2,
            warmup_steps=50,
            ema_decay=0.998,
            checkpoint_every=100,
        )
    )
    shown: int = 12

    def __post_init__(self) -> None:
        require_one_device(self.first, self.both)
        if min(self.patch_len, self.judged, *self.hidden) < 1 or self.shown < 0:
            raise ConfigError(
                "series cannot be aligned like this",
                where="SeriesAlignConfig",
                expected="patch_len, judged and widths at least 1, shown at least 0",
                got=f"{self.patch_len}, {self.judged}, {self.hidden}, {self.shown}",
            )


def _debug() -> SeriesAlignConfig:
    base = SeriesAlignConfig()
    few = {"steps": 4, "batch_size": 2, "warmup_steps": 1, "log_every": 1}
    first, both = replace(base.first, **few), replace(base.both, **few)  # type: ignore[arg-type]
    return replace(base, judged=8, first=first, both=both)


PRESETS: dict[str, Callable[[], SeriesAlignConfig]] = {"default": SeriesAlignConfig, "debug": _debug}


class SeriesModel(nn.Module):
    """Series encoder and language model: patches stand where the text has `<ts><ts/>`."""

    def __init__(self, gpt: GPT, encoder: SeriesEncoderConfig) -> None:
        super().__init__()
        self.gpt, self.encoder = gpt, SeriesEncoder(encoder)

    def logits(self, batch: SeriesBatch) -> Float[Tensor, "b t vocab"]:
        """Of the token after each place of the spliced sequence."""
        given = rms_norm(self.encoder(batch.patches, batch.start))
        x_BTD = splice(self.gpt.embedded(batch.tokens), given, batch.positions)
        return self.gpt.logits(self.gpt.features(x_BTD))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A `SeriesBatch` by its names."""
        asked = SeriesBatch(**batch)
        logits = self.logits(asked)
        loss = F.cross_entropy(logits.flatten(0, 1), asked.labels.flatten(), ignore_index=IGNORED)
        said = asked.labels != IGNORED
        right = (logits.argmax(-1) == asked.labels)[said].float().mean()
        return {"loss": loss, "token_accuracy": right.detach()}

    @torch.inference_mode()
    def answered(self, batch: SeriesBatch) -> Bool[Tensor, "b"]:
        """Whether the most probable token is the right one all along each answer."""
        guesses = self.logits(batch).argmax(-1)
        return ((guesses == batch.labels) | (batch.labels == IGNORED)).all(dim=1)


class QuestionBatches:
    """Questions of the training split, a pure function of the step."""

    def __init__(self, generator: SeriesGenerator, tokenizer: Tokenizer, patch_len: int, size: int) -> None:
        self.generator, self.tokenizer, self.patch_len, self.size = generator, tokenizer, patch_len, size

    def __call__(self, step: int) -> Mapping[str, Tensor]:
        numbers = range(step * self.size, (step + 1) * self.size)
        examples = [self.generator[n] for n in numbers]
        return _batch(examples, self.tokenizer, self.patch_len)._asdict()


def align_series(
    start: Path, config: SeriesAlignConfig, out: Path, on_progress: OnProgress = no_progress
) -> tuple[dict[str, Any], list[Section]]:
    """Align a series encoder with the language model of `start`; write `out/series`.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        CheckpointError: there is no language model in `start`.
    """
    gpt, tokenizer, _ = load_lm(start)
    torch.manual_seed(config.both.seed)
    model = SeriesModel(gpt, SeriesEncoderConfig(gpt.config.width, config.patch_len, config.hidden))
    results = _train(model, tokenizer, config, out, on_progress)
    save_series_model(out / SUBDIRECTORY, model.eval(), tokenizer)
    held = SeriesGenerator(config.generator, "held_out")
    examples = [held[i] for i in range(config.judged)]
    right = _judged(model, tokenizer, examples, config.patch_len)
    other = _judged(model, tokenizer, _exchanged(examples), config.patch_len)
    guess = _commonest(SeriesGenerator(config.generator, "train"), 4 * config.judged)
    low, high = wilson_interval(sum(right), len(right))
    by_kind = defaultdict(list)
    for example, ok in zip(examples, right, strict=True):
        by_kind[example.kind].append(ok)
    summary: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_seconds": round(sum(r.seconds for r in results.values()), 1),
        "right": round(sum(right) / len(right), 4),
        "of": len(right),
        "interval": [round(low, 4), round(high, 4)],
        "series_of_another_question": round(sum(other) / len(other), 4),
        "commonest_answer": round(sum(guess.get(e.kind) == e.answer for e in examples) / len(examples), 4),
        "kinds": {k: round(sum(v) / len(v), 3) for k, v in sorted(by_kind.items())},
    }
    shown = list(zip(examples, right, strict=True))[: config.shown]
    return summary, [_page(summary, results, shown)]


def save_series_model(directory: Path, model: SeriesModel, tokenizer: Tokenizer) -> None:
    """Write the model; the directory appears when it is whole."""
    with atomic_directory(directory) as part:
        save_lm(part / "model", model.gpt, tokenizer, "align series")
        save_weights(model.encoder, part / WEIGHTS)
        finish(part, "align", RECORD, model.encoder.config)


def load_series_model(directory: Path) -> tuple[SeriesModel, Tokenizer]:
    """The model in evaluation mode and its tokenizer; of a run its `series`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    made_by = "vla model align --series --start DIR --out DIR"
    directory, config = opened(
        directory, SUBDIRECTORY, RECORD, SeriesEncoderConfig, "aligned series encoder", made_by
    )
    gpt, tokenizer, _ = load_lm(directory / "model")
    model = SeriesModel(gpt, config)
    load_weights(model.encoder, directory / WEIGHTS)
    return model.eval(), tokenizer


def _train(
    model: SeriesModel, tokenizer: Tokenizer, config: SeriesAlignConfig, out: Path, on_progress: OnProgress
) -> dict[str, FitResult]:
    """The encoder alone, then both; no question comes twice."""
    generator, results = SeriesGenerator(config.generator, "train"), {}
    for name, loop, free in ((FIRST, config.first, False), ("both", config.both, True)):
        for parameter in model.gpt.parameters():
            parameter.requires_grad_(free)
        batches = QuestionBatches(generator, tokenizer, config.patch_len, loop.batch_size)
        directory = out if free else out / FIRST
        results[name] = fit(model.train(), batches, loop, directory, on_progress, stage=f"align {name}")
    return results


def _batch(examples: Sequence[SeriesExample], tokenizer: Tokenizer, patch_len: int) -> SeriesBatch:
    return collate([prepare(e, tokenizer, patch_len) for e in examples])


def _judged(
    model: SeriesModel, tokenizer: Tokenizer, examples: Sequence[SeriesExample], patch_len: int
) -> list[bool]:
    right: list[bool] = []
    for start in range(0, len(examples), TOGETHER):
        right += model.answered(_batch(examples[start : start + TOGETHER], tokenizer, patch_len)).tolist()
    return right


def _exchanged(examples: Sequence[SeriesExample]) -> list[SeriesExample]:
    """Each question with the series of another one of its kind; the names that it asks about stay."""
    rows = defaultdict(list)
    for example in examples:
        rows[example.kind, example.series.values.shape[1]].append(example)
    found = []
    for some in rows.values():
        for one, other in zip(some, [*some[1:], some[0]], strict=True):
            found.append(replace(one, series=replace(other.series, names=one.series.names)))
    return found


def _commonest(generator: SeriesGenerator, count: int) -> dict[str, str]:
    """The commonest answer of each kind in training."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for i in range(count):
        example = generator[i]
        answers[example.kind][example.answer] += 1
    return {kind: counts.most_common(1)[0][0] for kind, counts in answers.items()}


def _page(
    summary: Mapping[str, Any],
    results: Mapping[str, FitResult],
    shown: Sequence[tuple[SeriesExample, bool]],
) -> Section:
    low, high = summary["interval"]
    rows = [
        ("right answers", f"{100 * summary['right']:.1f}%, 95% {100 * low:.0f}–{100 * high:.0f}%"),
        ("questions", f"{summary['of']:,}"),
        ("with the series of another question", f"{100 * summary['series_of_another_question']:.1f}%"),
        ("commonest answer of each kind", f"{100 * summary['commonest_answer']:.1f}%"),
        *((f"— {kind}", f"{100 * share:.0f}%") for kind, share in summary["kinds"].items()),
        ("parameters", f"{summary['parameters']:,}"),
    ]
    blocks: list[Block] = [Table(("", "held out"), tuple(rows))]
    for name, result in results.items():
        steps, values = zip(*result.history["loss"], strict=True)
        line = Line("loss", tuple(map(float, steps)), values)
        blocks.append(LineChart(f"Loss, {name}", (line,), x_label="step", log_y=True))
    told = [f"{'right' if ok else 'wrong'}  {e.question}  {e.answer}" for e, ok in shown]
    return Section("Questions about series", (*blocks, Code("\n".join(told))))
