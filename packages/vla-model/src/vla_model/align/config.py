"""How encoders are aligned with a language model. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig


def require_one_device(*trainings: FitConfig) -> None:
    """Raise ConfigError if one of the trainings of a command that does several is on more than one device."""
    most = max(t.devices for t in trainings)
    if most > 1:
        raise ConfigError(
            "an alignment trains twice, and a command can train once on several devices",
            where="devices",
            expected="1",
            got=str(most),
        )


@dataclass(frozen=True)
class AlignConfig:
    """How a video encoder is aligned.

    Args:
        hidden: width of the projector between encoder and language model.
        questions: asked about each scene of a batch.
        skip: frames at the beginning of an episode about which nothing is asked: tracks and speeds need some.
        holdout: share of the episodes kept for measuring.
        judged: questions of each kind that are measured.
        blind: leave the pictures out: what words alone can win.
        named: weight of telling which things a question names, beside the answer (`grounding`).
        placed: weight of telling where each thing is and how fast.
        compared: weight of telling how one of two things differs from the other.
        first: the training of the projector, encoder and language model as they are; 0 steps leave it out.
        both: the training of all three.
        shown: scenes on the page.
    """

    hidden: int = 256
    questions: int = 2
    skip: int = 3
    holdout: float = 0.1
    judged: int = 400
    blind: bool = False
    named: float = 0.5
    placed: float = 1.0
    compared: float = 0.5
    first: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=100, batch_size=64, learning_rate=1e-3, warmup_steps=20, checkpoint_every=100
        )
    )
    both: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=1500,
            batch_size=64,
            optimizer="muon",
            learning_rate=6e-3,
            weight_decay=1e-2,
            warmup_steps=50,
            ema_decay=0.998,
            checkpoint_every=100,
        )
    )
    shown: int = 6

    def __post_init__(self) -> None:
        require_one_device(self.first, self.both)
        least = min(self.hidden, self.questions, self.judged)
        if least < 1 or self.skip < 0 or not 0 < self.holdout < 1:
            raise ConfigError(
                "nothing can be aligned like this",
                where="AlignConfig",
                expected="hidden, questions and judged at least 1, skip at least 0, holdout in (0, 1)",
                got=f"{self.hidden}, {self.questions}, {self.judged}, {self.skip}, {self.holdout:g}",
            )


def _debug() -> AlignConfig:
    base = AlignConfig()
    few = {"steps": 4, "batch_size": 2, "threads": 1, "warmup_steps": 1, "log_every": 1}
    return replace(base, judged=4, shown=2, first=replace(base.first, **few), both=replace(base.both, **few))


PRESETS: dict[str, Callable[[], AlignConfig]] = {"default": AlignConfig, "debug": _debug}
