"""What is measured, and on what. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vla_data.errors import ConfigError
from vla_vision.perception.config import PRESETS as LOOPS
from vla_vision.perception.sight import SightConfig


@dataclass(frozen=True)
class EvaluateConfig:
    """How perception is measured.

    Args:
        sight: what looks, with which settings of the loop.
        encoder: weights of a video encoder, to count its tokens; None: there is none.
        cameras: of episodes; empty stands for all with labels.
        episodes: at most so many, evenly over the data set; None: all.
        min_pixels: true objects with fewer visible pixels do not count.
        score: least confidence of a detection that is tracked; average precision hears of all.
        depth_every: one frame in so many has its depth measured.
        pictures: frames on the page.
        film: show the first video as a clip, at most at so many frames a second; 0 shows none.
    """

    sight: SightConfig = field(default_factory=SightConfig)
    encoder: str | None = None
    cameras: tuple[str, ...] = ()
    episodes: int | None = None
    min_pixels: int = 16
    score: float = 0.25
    depth_every: int = 10
    pictures: int = 12
    film: float = 15.0

    def __post_init__(self) -> None:
        least = {"min_pixels": 1, "depth_every": 1, "pictures": 0}
        wrong = [f"{n} {getattr(self, n)}" for n, low in least.items() if getattr(self, n) < low]
        wrong += [f"episodes {self.episodes}"] if self.episodes is not None and self.episodes < 1 else []
        wrong += [] if 0 <= self.score <= 1 else [f"score {self.score:g}"]
        wrong += [] if self.film >= 0 else [f"film {self.film:g}"]
        if wrong:
            raise ConfigError(
                "perception cannot be measured like this",
                where="EvaluateConfig",
                expected="min_pixels, depth_every and episodes at least 1, score in [0, 1], film at least 0",
                got="; ".join(wrong),
            )


def _with_loop(name: str) -> Callable[[], EvaluateConfig]:
    return lambda: EvaluateConfig(SightConfig(loop=LOOPS[name]()))


PRESETS: dict[str, Callable[[], EvaluateConfig]] = {
    "default": EvaluateConfig,
    **{name: _with_loop(name) for name in LOOPS if name != "default"},
}
