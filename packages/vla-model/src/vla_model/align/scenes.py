"""Labelled scenes as an encoder and a language model are given them: windows of frames, and questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from vla_data.errors import DataError
from vla_data.protocols import EpisodeSource
from vla_model.align.grounding import compared_table, facts_table, named_table
from vla_model.align.network import SceneModel, question_batch
from vla_model.align.questions import Facts, ask_some, facts_of
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder.clips import Clip
from vla_vision.encoder.windows import WindowTable

ASK_STREAM = 6


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
        self.classes = model.encoder.config.features.class_names

    def __call__(self, step: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng((self.seed, ASK_STREAM, step))
        rows = rng.integers(0, len(self.scenes.facts), self.size)
        facts = [self.scenes.facts[r] for r in rows]
        asked = [ask_some(scene, rng, self.questions) for scene in facts]
        every = [question for some in asked for question in some]
        where = [scene for scene, some in zip(facts, asked, strict=True) for _ in some]
        return {
            **self.scenes.windows(rows, self.history),
            **question_batch(self.tokenizer, self.count, every, self.context),
            "named": named_table(every, self.classes),
            "facts": facts_table(facts, self.classes),
            "compared": compared_table(every, where),
            "scene": torch.repeat_interleave(torch.tensor([len(some) for some in asked])),
        }
