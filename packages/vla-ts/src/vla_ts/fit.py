"""Fitting a VQ-VAE to the action chunks of a data set: configuration, presets and the one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig
from vla_data.normalize import NormMode
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section


@dataclass(frozen=True)
class FitVqvaeConfig:
    """How a codec is fitted.

    Args:
        action_horizon: actions in a chunk.
        codebook_size: codes per level.
        levels: residual levels, hence codes per chunk.
        encoder_hidden, decoder_hidden: widths of the perceptrons added to the identity; empty adds none.
        norm: normaliser in front of the network.
        commitment: weight of the pull of latents to their codes; acts on a learnt encoder only.
        codebook_decay: of the moving averages that are the codebooks.
        holdout: share of the episodes kept for measuring.
        bins: codes per number of the uniform-bins codec measured beside.
        fit: optimiser, schedule, steps.
    """

    action_horizon: int = 16
    codebook_size: int = 128
    levels: int = 3
    encoder_hidden: tuple[int, ...] = ()
    decoder_hidden: tuple[int, ...] = (256, 256)
    norm: NormMode = "gaussian"
    commitment: float = 0.25
    codebook_decay: float = 0.99
    holdout: float = 0.1
    bins: int = 256
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if not (0 <= self.holdout < 1 and 0 <= self.codebook_decay < 1 and self.commitment >= 0):
            raise ConfigError(
                "a codec setting is out of range",
                expected="holdout and codebook_decay in [0, 1), commitment at least 0",
                got=f"{self.holdout}, {self.codebook_decay}, {self.commitment}",
            )


def _default() -> FitVqvaeConfig:
    return FitVqvaeConfig(
        fit=FitConfig(
            steps=1500,
            batch_size=512,
            learning_rate=3e-3,
            weight_decay=1e-4,
            warmup_steps=50,
            checkpoint_every=500,
        )
    )


def _learnt_encoder() -> FitVqvaeConfig:
    return replace(_default(), encoder_hidden=(256, 256))


def _debug() -> FitVqvaeConfig:
    config = _default()
    short = replace(config.fit, steps=120, batch_size=256, warmup_steps=10, checkpoint_every=60, log_every=10)
    return replace(config, decoder_hidden=(64,), fit=short)


PRESETS: dict[str, Callable[[], FitVqvaeConfig]] = {
    "default": _default,
    "learnt-encoder": _learnt_encoder,
    "debug": _debug,
}


def fit_vqvae(
    source: EpisodeSource, config: FitVqvaeConfig, out: Path, on_progress: OnProgress = no_progress
) -> tuple[dict[str, Any], list[Section]]:
    """Fit a codec to the actions of `source` and write it to `out/codec`.

    Reads no image where the source can do without (`read_series`). Interrupted, the same call goes on from
    its resume state in `out`. Episodes are split into those learnt from and those measured on by
    `config.fit.seed`; a single episode is both.

    Returns:
        A summary of plain values, and the sections of the run's page: quality on held-out episodes beside
        uniform bins, training curves, error per dimension, a decoded trajectory.

    Raises:
        DataError: no episode, actions of another width than the robot's, NaN or infinity.
        ConfigError: the settings contradict each other.
        DivergedError, CheckpointError: as `vla_data.fit.fit`.
    """
    from vla_ts.training import train_codec

    return train_codec(source, config, out, on_progress)
