"""Examples by number: the same number, seed and split give the same series, question and answer anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.registry import lookup
from vla_ts.language.attributes import PERIODS, MotionAttributes, PairAttributes, WaveAttributes
from vla_ts.language.drawing import SPLITS, Split
from vla_ts.language.questions import LONGEST_MOTION, QUESTIONS
from vla_ts.language.scenes import NAMES
from vla_ts.language.series import NamedSeries

TRIES = 2000


@dataclass(frozen=True)
class GeneratorConfig:
    """What is drawn.

    Args:
        kinds: of questions, names of `QUESTIONS`; empty takes all, equally often.
        lengths: of series in steps: multiples of four, at least twice the longest period.
        dims: how many dimensions a series of trend, season, change and noise may have; one is asked about.
        motion_lengths: of motions: multiples of four from 16 to 24.
        seed: of everything.
    """

    kinds: tuple[str, ...] = ()
    lengths: tuple[int, ...] = (32, 36, 40, 44, 48)
    dims: tuple[int, ...] = (1, 2)
    motion_lengths: tuple[int, ...] = (16, 20, 24)
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in self.kinds:
            lookup("kind of question", QUESTIONS, kind)
        least = 2 * max(PERIODS)
        fits = all(n >= least and n % 4 == 0 for n in self.lengths)
        short = all(16 <= n <= LONGEST_MOTION and n % 4 == 0 for n in self.motion_lengths)
        dims = self.dims and all(1 <= n <= len(NAMES) for n in self.dims)
        if not (self.lengths and fits and self.motion_lengths and short and dims and self.seed >= 0):
            raise ConfigError(
                "a setting of made-up series is out of range",
                expected=f"lengths from {least}, motion_lengths from 16 to {LONGEST_MOTION}, "
                f"multiples of 4; dims from 1 to {len(NAMES)}; a seed of at least 0",
                got=f"{self.lengths}, {self.motion_lengths}, {self.dims}, {self.seed}",
            )


@dataclass(frozen=True, eq=False)
class SeriesExample:
    """A question about a series, and its answer.

    Args:
        series: what is seen.
        question: in words.
        answer: one word or number, exact.
        kind: name of the question in `QUESTIONS`.
        attributes: what the series was made of: one for each dimension of a wave, one for a pair or motion.
    """

    series: NamedSeries
    question: str
    answer: str
    kind: str
    attributes: tuple[WaveAttributes, ...] | tuple[PairAttributes] | tuple[MotionAttributes]


class SeriesGenerator:
    """Endless examples of one split; the combinations of attributes of the two splits are disjoint.

    Args:
        config: see `GeneratorConfig`.
        split: "train" or "held_out".

    Raises:
        UnknownNameError: no such split.
    """

    def __init__(self, config: GeneratorConfig, split: Split) -> None:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        self.config = config
        self.split: Split = split
        self.kinds = config.kinds or tuple(QUESTIONS)

    def __getitem__(self, index: int) -> SeriesExample:
        """Example `index`, at least 0."""
        rng = np.random.default_rng([self.config.seed, SPLITS.index(self.split), index])
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        question = QUESTIONS[kind]
        lengths = self.config.lengths if question.lengths == "long" else self.config.motion_lengths
        wanted = str(rng.choice(question.answers)) if question.balanced else None
        for _ in range(TRIES):
            scene = question.draw(
                rng, self.split, int(rng.choice(lengths)), int(rng.choice(self.config.dims))
            )
            answer = question.answer(scene)
            if answer is not None and answer == (wanted or answer):
                wording = question.wordings[int(rng.integers(len(question.wordings)))]
                said = wording.format(*scene.asked)
                return SeriesExample(scene.series, said, answer, kind, scene.attributes)
        raise AssertionError(f"no series determines a question of kind {kind}")


def grammar() -> tuple[str, ...]:
    """Texts that hold every word of every question, every name and every answer."""
    wordings = [w.replace("{}", " ") for q in QUESTIONS.values() for w in q.wordings]
    return (*wordings, " ".join(NAMES))


def answers() -> tuple[str, ...]:
    """Everything that any question can be answered with, sorted."""
    return tuple(sorted({a for q in QUESTIONS.values() for a in q.answers}))
