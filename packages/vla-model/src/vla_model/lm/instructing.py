"""Fine-tuning on procedures: scene and task in, a checklist or its next step out, judged by the verifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from vla_data.charts import Line, LineChart
from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, fit
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Block, Code, Section, Table
from vla_model.lm.chat import chat_batch, prompt_tokens, reply
from vla_model.lm.checkpoint import SUBDIRECTORY, load_lm, save_lm
from vla_model.lm.gpt import GPT
from vla_model.lm.sampling import SampleConfig
from vla_model.lm.tokenizer import Tokenizer
from vla_model.procedures.documents import example, judge, question
from vla_model.procedures.families import HELD_OUT, TRAINED, Procedure, make_procedure
from vla_model.statistics import wilson_interval

TEST_STREAM = 3
GREEDY = SampleConfig(max_tokens=200, temperature=0)


@dataclass(frozen=True)
class InstructConfig:
    """How a pre-trained model is fine-tuned on procedures.

    Args:
        judged: checklists of trained, and of held-out families that are judged at the end.
        shown: answers on the page.
        fit: the training loop.
    """

    judged: int = 200
    shown: int = 3
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=1500,
            batch_size=16,
            optimizer="muon",
            learning_rate=2e-3,
            weight_decay=0.0,
            betas=(0.8, 0.95),
            warmup_steps=20,
            precision="auto",
            threads=None,
            checkpoint_every=100,
        )
    )

    def __post_init__(self) -> None:
        if self.judged < 1 or self.shown < 0:
            raise ConfigError(
                "a model cannot be judged like this",
                where="InstructConfig",
                expected="judged at least 1, shown at least 0",
                got=f"{self.judged}, {self.shown}",
            )


PRESETS: dict[str, Callable[[], InstructConfig]] = {
    "default": InstructConfig,
    "debug": lambda: InstructConfig(
        3, 1, replace(InstructConfig().fit, steps=4, batch_size=2, threads=1, warmup_steps=1, log_every=1)
    ),
}


class ExampleBatches:
    """Questions and answers of trained families, a pure function of the step."""

    def __init__(self, tokenizer: Tokenizer, batch_size: int, length: int, seed: int) -> None:
        self.tokenizer, self.batch_size, self.length, self.seed = tokenizer, batch_size, length, seed

    def __call__(self, step: int) -> Mapping[str, Tensor]:
        numbers = range(step * self.batch_size, (step + 1) * self.batch_size)
        return chat_batch(self.tokenizer, [example(self.seed, n) for n in numbers], self.length)


def instruct(
    start: Path, config: InstructConfig, out: Path, on_progress: OnProgress = no_progress
) -> tuple[dict[str, Any], list[Section]]:
    """Fine-tune the model of `start` on procedures of trained families; write `out/model`.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        CheckpointError: there is no language model in `start`.
    """
    model, tokenizer, _ = load_lm(start)
    loop = config.fit
    batches = ExampleBatches(tokenizer, loop.batch_size, model.config.context, loop.seed)
    result = fit(model.train(), batches, loop, out, on_progress, stage="instruct")
    model.eval()
    save_lm(out / SUBDIRECTORY, model, tokenizer, "instruct")
    verdicts = {
        name: judged(model, tokenizer, tuple(families), config.judged, loop.seed, on_progress)
        for name, families in (("trained families", TRAINED), ("held-out families", HELD_OUT))
    }
    summary: dict[str, Any] = {"train_seconds": round(result.seconds, 1)}
    for name, found in verdicts.items():
        passed = sum(not problem for _, _, problem in found)
        low, high = wilson_interval(passed, len(found))
        key = name.replace(" ", "_").replace("-", "_")
        summary[key] = {"passed": passed, "of": len(found), "interval": [round(low, 4), round(high, 4)]}
    return summary, [_page(summary, verdicts, result.history["loss"], config)]


def judged(
    model: GPT,
    tokenizer: Tokenizer,
    families: Sequence[str],
    count: int,
    seed: int,
    on_progress: OnProgress = no_progress,
) -> list[tuple[Procedure, str, str]]:
    """Procedures of families in turn, what the model answers, and why that does not do ("" where it does)."""
    found = []
    for i in range(count):
        made = make_procedure(families[i % len(families)], np.random.default_rng((seed, TEST_STREAM, i)))
        asked = question(made)
        if len(prompt_tokens(tokenizer, asked)) >= model.config.context:
            found.append((made, "", "the question is longer than the model's context"))
        else:
            answer = reply(model, tokenizer, asked, GREEDY)
            found.append((made, answer, judge(made, answer)))
        on_progress(Progress("judge", i + 1, count, "checklists"))
    return found


def _page(
    summary: Mapping[str, Any],
    verdicts: Mapping[str, Sequence[tuple[Procedure, str, str]]],
    loss: Sequence[tuple[int, float]],
    config: InstructConfig,
) -> Section:
    rows = []
    for name, found in verdicts.items():
        figures = summary[name.replace(" ", "_").replace("-", "_")]
        low, high = figures["interval"]
        rows.append((name, f"{figures['passed']} / {figures['of']}", f"{100 * low:.0f}–{100 * high:.0f}%"))
        of = Counter(p.family for p, _, _ in found)
        passed = Counter(p.family for p, _, problem in found if not problem)
        rows += [(f"— {family}", f"{passed[family]} / {n}", "") for family, n in sorted(of.items())]
    steps, values = zip(*loss, strict=True)
    line = Line("loss", tuple(map(float, steps)), values)
    blocks: list[Block] = [
        Table(("checklists that do the task", "passed", "95%"), tuple(rows)),
        LineChart("Loss, nats a token of answers", (line,), x_label="step", log_y=True),
    ]
    for found in verdicts.values():
        for made, answer, problem in found[: config.shown]:
            blocks.append(Code(f"{question(made)}\n\n{answer}\n\n{problem or 'does the task'}"))
    return Section("Procedures", tuple(blocks))
