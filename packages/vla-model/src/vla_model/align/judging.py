"""How well a model answers about scenes: right answers, beside the pictures of another scene and beside the
best guess from the words of a question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vla_data.charts import Line, LineChart
from vla_data.fit import FitResult
from vla_data.report import Block, Code, Section, Table
from vla_model.align.network import SceneModel, answered, question_batch
from vla_model.align.questions import TAUGHT, Question, ask
from vla_model.align.scenes import Scenes
from vla_model.lm.tokenizer import Tokenizer
from vla_model.statistics import wilson_interval

JUDGE_STREAM = 5
TOGETHER = 64  # questions judged at once


def asked_about(scenes: Scenes, kind: str, count: int) -> list[tuple[int, Question]]:
    """Questions of a kind about held-out scenes, and the row of each."""
    found: list[tuple[int, Question]] = []
    for i in range(20 * count):
        rng = np.random.default_rng((JUDGE_STREAM, i))
        row = int(rng.integers(len(scenes.facts)))
        question = ask(scenes.facts[row], rng, kind)  # type: ignore[arg-type]
        if question is not None:
            found.append((row, question))
        if len(found) == count:
            break
    return found


def judged(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    asked: Sequence[tuple[int, Question]],
    others: bool = False,
) -> list[bool]:
    """Which questions are answered rightly; `others`: with the pictures of another scene."""
    right: list[bool] = []
    rows = np.array([r for r, _ in asked])
    looked = np.roll(rows, len(rows) // 2) if others else rows
    for start in range(0, len(asked), TOGETHER):
        some = slice(start, start + TOGETHER)
        with torch.inference_mode():
            seen = model.seen(scenes.windows(looked[some], model.encoder.config.history))
        questions = [question for _, question in asked[some]]
        batch = question_batch(tokenizer, model.video_tokens, questions, model.gpt.config.context)
        right += answered(model, seen, batch).tolist()
    return right


def guesses_of(scenes: Scenes) -> dict[str, str]:
    """The most frequent answer to each question in training."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for i in range(min(20_000, 40 * len(scenes.facts))):
        rng = np.random.default_rng((JUDGE_STREAM + 1, i))
        facts = scenes.facts[int(rng.integers(len(scenes.facts)))]
        question = ask(facts, rng, TAUGHT[i % len(TAUGHT)])
        if question is not None:
            answers[question.text][question.answer] += 1
    return {text: counts.most_common(1)[0][0] for text, counts in answers.items()}


def scores_of(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    asked: Mapping[str, Sequence[tuple[int, Question]]],
    guesses: Mapping[str, str],
) -> dict[str, Any]:
    """Of each kind the share of right answers with its interval, beside both controls."""
    found: dict[str, Any] = {}
    for kind, some in asked.items():
        if not some:
            continue
        right = sum(judged(model, tokenizer, scenes, some))
        low, high = wilson_interval(right, len(some))
        other = sum(judged(model, tokenizer, scenes, some, others=True))
        guessed = sum(guesses.get(q.text) == q.answer for _, q in some)
        found[kind] = {
            "right": round(right / len(some), 4),
            "of": len(some),
            "interval": [round(low, 4), round(high, 4)],
            "pictures_of_another_scene": round(other / len(some), 4),
            "guessed_from_words": round(guessed / len(some), 4),
        }
    return found


def shown_of(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    asked: Mapping[str, Sequence[tuple[int, Question]]],
    count: int,
) -> list[str]:
    """`count` questions of each kind, their answers, and whether the model gave them."""
    some = [q for questions in asked.values() for q in questions[:count]]
    right = judged(model, tokenizer, scenes, some)
    return [
        f"{'right' if ok else 'wrong'}  {q.text}  {q.answer}" for (_, q), ok in zip(some, right, strict=True)
    ]


def page_of(summary: Mapping[str, Any], results: Mapping[str, FitResult], shown: Sequence[str]) -> Section:
    """The run's page."""
    rows = []
    for kind in TAUGHT:
        if kind in summary:
            s = summary[kind]
            low, high = s["interval"]
            rows.append(
                (
                    kind,
                    f"{100 * s['right']:.1f}%",
                    f"{100 * low:.0f}–{100 * high:.0f}%",
                    str(s["of"]),
                    f"{100 * s['pictures_of_another_scene']:.1f}%",
                    f"{100 * s['guessed_from_words']:.1f}%",
                )
            )
    columns = ("questions", "right", "95%", "n", "pictures of another scene", "guessed from the words")
    plain = tuple((k.replace("_", " "), f"{v:,}") for k, v in summary.items() if not isinstance(v, dict))
    blocks: list[Block] = [Table(columns, tuple(rows)), Table(("", "value"), plain)]
    for name, result in results.items():
        steps, values = zip(*result.history["loss"], strict=True)
        line = Line("loss", tuple(map(float, steps)), values)
        blocks.append(LineChart(f"Loss, {name}", (line,), x_label="step", log_y=True))
    blocks.append(Code("\n".join(shown)))
    return Section("Questions about scenes", tuple(blocks))
