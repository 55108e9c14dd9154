"""The training behind `vla model align`: labelled scenes in, a language model that answers about them out.

Notable features:
- the projector first, between an encoder and a language model that stay as they are; then all three
- labels make questions and answers; the model is given tokens of pixels alone
- measured on held-out scenes beside the same model with the pictures of another scene, and beside the best
  guess from the words of a question
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from vla_data.charts import Line, LineChart
from vla_data.errors import DataError
from vla_data.fit import FitResult, fit
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Block, Code, Section, Table
from vla_model.align.checkpoint import SUBDIRECTORY, save_scene_model
from vla_model.align.config import AlignConfig
from vla_model.align.network import SceneModel, answered, talk, talk_batch
from vla_model.align.questions import TAUGHT, Facts, Question, ask, ask_some, facts_of
from vla_model.lm.checkpoint import load_lm
from vla_model.lm.tokenizer import Tokenizer
from vla_model.statistics import wilson_interval
from vla_vision.encoder.checkpoint import load_encoder
from vla_vision.encoder.clips import Clip
from vla_vision.encoder.extraction import ExtractConfig, extract_features, stored_features
from vla_vision.encoder.windows import WindowTable

FEATURES, PROJECTOR = "features", "projector"
JUDGE_STREAM, ASK_STREAM = 5, 6
TOGETHER = 64  # questions judged at once


@dataclass(frozen=True, eq=False)
class Scenes:
    """Windows of frames, which of them are asked about, and what is true at the last frame of each."""

    table: WindowTable
    rows: Int64[np.ndarray, "scenes"]
    facts: list[Facts]

    @classmethod
    def of(cls, source: EpisodeSource, clips: Sequence[Clip], skip: int) -> Scenes:
        """Of clips of labelled episodes, but for their first frames.

        Raises:
            DataError: an episode has no labels, or none is longer than `skip`.
        """
        facts: list[Facts] = []
        for clip in clips:
            found = facts_of(source[clip.info.episode], clip.info.camera)
            facts += found[:: max(1, round(len(found) / clip.info.frames))][: clip.info.frames]
        table = WindowTable.of(clips, 0.1)
        rows = np.flatnonzero(np.arange(len(table)) - table.start >= skip)
        if not len(rows):
            raise DataError(
                "there is no frame to ask about",
                where=source.name,
                expected=f"episodes of more than {skip} frames",
                got=f"{len(table)} frames of {len(clips)} episodes",
                next_step="use longer episodes, or --set skip=0",
            )
        return cls(table, rows, [facts[r] for r in rows])

    def windows(self, scenes: np.ndarray, history: int) -> dict[str, Tensor]:
        """What the encoder takes of these scenes."""
        frames = self.table.history(self.rows[scenes], history)
        return {n: torch.from_numpy(a[frames]) for n, a in self.table.arrays.items() if "truth." not in n}


class SceneBatches:
    """Scenes and what is asked about them, a pure function of the step."""

    def __init__(
        self,
        scenes: Scenes,
        model: SceneModel,
        tokenizer: Tokenizer,
        questions: int,
        seed: int,
        size: int,
    ) -> None:
        self.scenes, self.tokenizer, self.questions = scenes, tokenizer, questions
        self.seed, self.size = seed, size
        self.history, self.count = model.encoder.config.history, model.video_tokens
        self.context = model.gpt.config.context

    def __call__(self, step: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng((self.seed, ASK_STREAM, step))
        rows = rng.integers(0, len(self.scenes.facts), self.size)
        talks = [
            talk(self.tokenizer, self.count, ask_some(self.scenes.facts[r], rng, self.questions))
            for r in rows
        ]
        return {
            **self.scenes.windows(rows, self.history),
            **talk_batch(self.tokenizer, talks, self.context),
        }


def align(
    source: EpisodeSource,
    encoder_dir: Path,
    start: Path,
    config: AlignConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    workers: int | None = 1,
) -> tuple[dict[str, Any], list[Section]]:
    """Align an encoder with a language model on labelled scenes; write `out/scene`.

    Args:
        source: labelled episodes.
        encoder_dir: run of `vla vision train-encoder`.
        start: run of `vla model pretrain` or `instruct`.
        workers: processes that perceive; None for one a core.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        CheckpointError: encoder or language model cannot be read.
        DataError: there are no labelled scenes, or fewer than two episodes.
    """
    encoder, record = load_encoder(encoder_dir)
    gpt, tokenizer, _ = load_lm(start)
    extract = ExtractConfig(record.encoder.features, record.sight)
    store = stored_features(source, extract, encoder_dir / FEATURES)  # where it was trained on these
    if store is None:
        store = extract_features(source, extract, out / FEATURES, on_progress, workers=workers)
    learnt, held = _split(source, list(store), config)
    torch.manual_seed(config.both.seed)
    model = SceneModel(encoder, gpt, config.hidden, config.blind)
    results = _train(model, tokenizer, learnt, config, out, on_progress)
    save_scene_model(out / SUBDIRECTORY, model.eval(), tokenizer, record)
    asked = {kind: _asked(held, kind, config.judged) for kind in TAUGHT}
    scores = _scores(model, tokenizer, held, asked, _guesses(learnt, config))
    summary: dict[str, Any] = {
        "scenes": len(learnt.facts),
        "held_out_scenes": len(held.facts),
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_seconds": round(sum(r.seconds for r in results.values()), 1),
        **scores,
    }
    return summary, [_page(summary, results, _shown(model, tokenizer, held, asked, config))]


def _split(source: EpisodeSource, clips: list[Clip], config: AlignConfig) -> tuple[Scenes, Scenes]:
    episodes = sorted({c.info.episode for c in clips})
    if len(episodes) < 2:
        raise DataError(
            "there is too little to learn from and measure",
            where=source.name,
            expected="two labelled episodes",
            got=str(len(episodes)),
            next_step="make some: vla data generate tabletop --labels --episodes 1000 --out DIR",
        )
    count = min(len(episodes) - 1, max(1, round(config.holdout * len(episodes))))
    held = set(np.random.default_rng(config.both.seed).permutation(episodes)[:count].tolist())
    kept = [c for c in clips if c.info.episode not in held]
    rest = [c for c in clips if c.info.episode in held]
    return Scenes.of(source, kept, config.skip), Scenes.of(source, rest, config.skip)


def _train(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    config: AlignConfig,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, FitResult]:
    """The projector alone, then everything."""
    results = {}
    inner = (*model.encoder.parameters(), *model.gpt.parameters())
    for name, loop, free in (("projector", config.first, False), ("both", config.both, True)):
        for parameter in inner:
            parameter.requires_grad_(free)
        directory = out if free else out / PROJECTOR
        batches = SceneBatches(scenes, model, tokenizer, config.questions, loop.seed + free, loop.batch_size)
        results[name] = fit(model.train(), batches, loop, directory, on_progress, stage=f"align {name}")
    return results


def _asked(scenes: Scenes, kind: str, count: int) -> list[tuple[int, Question]]:
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


def _judged(
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
        talks = [talk(tokenizer, model.video_tokens, [q]) for _, q in asked[some]]
        with torch.inference_mode():
            seen = model.seen(scenes.windows(looked[some], model.encoder.config.history))
        batch = talk_batch(tokenizer, talks, model.gpt.config.context)
        right += answered(model, seen, batch).tolist()
    return right


def _guesses(scenes: Scenes, config: AlignConfig) -> dict[str, str]:
    """The most frequent answer to each question in training."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for i in range(min(20_000, 40 * len(scenes.facts))):
        rng = np.random.default_rng((JUDGE_STREAM + 1, i))
        facts = scenes.facts[int(rng.integers(len(scenes.facts)))]
        question = ask(facts, rng, TAUGHT[i % len(TAUGHT)])
        if question is not None:
            answers[question.text][question.answer] += 1
    return {text: counts.most_common(1)[0][0] for text, counts in answers.items()}


def _scores(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    asked: Mapping[str, Sequence[tuple[int, Question]]],
    guesses: Mapping[str, str],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, some in asked.items():
        if not some:
            continue
        right = sum(_judged(model, tokenizer, scenes, some))
        low, high = wilson_interval(right, len(some))
        other = sum(_judged(model, tokenizer, scenes, some, others=True))
        guessed = sum(guesses.get(q.text) == q.answer for _, q in some)
        found[kind] = {
            "right": round(right / len(some), 4),
            "of": len(some),
            "interval": [round(low, 4), round(high, 4)],
            "pictures_of_another_scene": round(other / len(some), 4),
            "guessed_from_words": round(guessed / len(some), 4),
        }
    return found


def _shown(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    asked: Mapping[str, Sequence[tuple[int, Question]]],
    config: AlignConfig,
) -> list[str]:
    """Some questions, their answers, and whether the model gave them."""
    some = [q for questions in asked.values() for q in questions[: config.shown]]
    right = _judged(model, tokenizer, scenes, some)
    return [
        f"{'right' if ok else 'wrong'}  {q.text}  {q.answer}" for (_, q), ok in zip(some, right, strict=True)
    ]


def _page(summary: Mapping[str, Any], results: Mapping[str, FitResult], shown: Sequence[str]) -> Section:
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
