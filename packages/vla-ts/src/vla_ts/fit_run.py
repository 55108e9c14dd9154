"""Fitting any kind of codec to a data set and measuring it: what a run of `vla ts fit` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import ConfigError
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.registry import lookup
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_ts.codecs import CODECS, fit_codec
from vla_ts.pages import describe
from vla_ts.quality import measure
from vla_ts.storage import SUBDIRECTORY
from vla_ts.trajectories import Series, Trajectories, read_trajectories

MOST_CHUNKS = 20_000


@dataclass(frozen=True)
class FitCodecConfig:
    """How a codec is fitted.

    Args:
        codec: one of `CODECS`.
        settings: of that kind.
        action_horizon: steps in a chunk.
        series: which series of the episodes.
        hz: bring them to this rate; None keeps theirs.
        holdout: share of the episodes kept for measuring.
        seed: of the division.
    """

    codec: str
    settings: Any
    action_horizon: int = 16
    series: Series = "action"
    hz: float | None = None
    holdout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.holdout < 1 and self.action_horizon >= 1):
            raise ConfigError(
                "a codec setting is out of range",
                expected="holdout in [0, 1), action_horizon at least 1",
                got=f"{self.holdout}, {self.action_horizon}",
            )


def presets(codec: str) -> dict[str, Callable[[], FitCodecConfig]]:
    """The one preset of a kind of codec: its defaults. Raises UnknownNameError when there is no such kind."""
    family = lookup("codec", CODECS, codec)
    return {"default": lambda: FitCodecConfig(codec, family.settings())}


def fit_and_measure(
    source: EpisodeSource,
    config: FitCodecConfig,
    out: Path,
    *,
    skip_corrupt: bool = False,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Fit a codec to the series of `source`, write it to `out/codec`, measure it on held-out episodes.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        DataError: an episode cannot be used and `skip_corrupt` is off, or none is left.
        ConfigError: the settings contradict each other or the data.
    """
    skipped: list[Skipped] = []
    data = read_trajectories(
        source, config.series, config.hz, skip_corrupt=skip_corrupt, skipped=skipped, on_progress=on_progress
    )
    learnt, held = data.split(config.holdout, config.seed)
    on_progress(Progress("fit", 0, 1, "codecs", message=config.codec))
    codec = fit_codec(config.codec, learnt, config.action_horizon, config.settings, on_progress)
    codec.save(out / SUBDIRECTORY)
    on_progress(Progress("fit", 1, 1, "codecs"))
    bins = fit_codec("uniform_bins", learnt, config.action_horizon)
    measured = held if held.episodes else learnt
    chunks, known = (_some(t, config.action_horizon) for t in (measured, learnt))
    stats = learnt.stats()
    named = {config.codec.replace("_", " "): codec, "256 uniform bins": bins}
    qualities = [measure(name, c, chunks, stats, known) for name, c in named.items()]
    counts = (len(learnt.episodes), len(held.episodes))
    summary, sections = describe(qualities, codec, measured.episodes[0], counts)
    return summary | {"skipped_episodes": len(skipped)}, sections


def _some(data: Trajectories, horizon: int) -> np.ndarray:
    return data.chunks(horizon, MOST_CHUNKS)
