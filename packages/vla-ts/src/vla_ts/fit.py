"""Fitting a VQ-VAE to the chunks of a data set or of several: configuration, presets and the one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig
from vla_data.normalize import NormMode
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section

Quantizer = Literal["vq", "residual_vq", "fsq", "lfq"]
Coder = Literal["mlp", "conv", "transformer"]


@dataclass(frozen=True)
class FitVqvaeConfig:
    """How a codec is fitted.

    Args:
        action_horizon: actions in a chunk.
        quantizer: `vq` (one level), `residual_vq`: learnt codebooks; `fsq`, `lfq`: grids and signs along
            principal axes, for which little data suffice (`vla_ts.quantizers`).
        codebook_size: codes per level.
        levels: residual levels, hence codes per chunk.
        encoder, decoder: what is added to the identity.
        encoder_hidden, decoder_hidden: widths of its layers; empty adds nothing.
        norm: normaliser in front of the network.
        commitment: weight of the pull of latents to their codes (of the entropy loss, for `lfq`); acts on a
            learnt encoder only.
        codebook_decay: of the moving averages that are the codebooks.
        prefix_share: share of the training chunks whose decoder is given only their first codes, any number
            of them, so that prefixes decode well too.
        rescale: half of the training chunks are made larger or smaller, each dimension by a log-normal factor
            of this deviation; 0 leaves them. Keeps large codebooks from knowing their chunks by heart.
        padded: learn also from chunks that reach past the end of an episode, as policies do.
        shares: of the training chunks that each source gives, where there are several; empty: by their size.
        series: which series of the episodes.
        hz: bring them to this rate; None keeps theirs.
        holdout: share of the episodes kept for measuring.
        bins: codes per number of the uniform-bins codec measured beside.
        fit: optimiser, schedule, steps.
    """

    action_horizon: int = 16
    quantizer: Quantizer = "residual_vq"
    codebook_size: int = 128
    levels: int = 3
    encoder: Coder = "mlp"
    decoder: Coder = "mlp"
    encoder_hidden: tuple[int, ...] = ()
    decoder_hidden: tuple[int, ...] = (256, 256)
    norm: NormMode = "gaussian"
    commitment: float = 0.25
    codebook_decay: float = 0.99
    prefix_share: float = 0.0
    rescale: float = 0.0
    padded: bool = True
    shares: tuple[float, ...] = ()
    series: Literal["action", "state"] = "action"
    hz: float | None = None
    holdout: float = 0.1
    bins: int = 256
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        shares = 0 <= self.holdout < 1 and 0 <= self.codebook_decay < 1 and 0 <= self.prefix_share <= 1
        if not (shares and self.commitment >= 0 and self.rescale >= 0):
            raise ConfigError(
                "a codec setting is out of range",
                expected="holdout and codebook_decay in [0, 1), prefix_share in [0, 1]; "
                "commitment and rescale at least 0",
                got=f"{self.holdout}, {self.codebook_decay}, {self.prefix_share}; "
                f"{self.commitment} and {self.rescale}",
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


def _fine() -> FitVqvaeConfig:
    """Few codes of many: the least error for its codes where there are ten thousand chunks to learn from."""
    config = replace(_default(), codebook_size=2048, decoder_hidden=(512, 512), rescale=0.25)
    return replace(config, fit=replace(config.fit, steps=3000, weight_decay=1e-2))


def _convolutional() -> FitVqvaeConfig:
    return replace(
        _default(), encoder="conv", decoder="conv", encoder_hidden=(64, 64), decoder_hidden=(64, 64)
    )


def _transformer() -> FitVqvaeConfig:
    return replace(
        _default(),
        encoder="transformer",
        decoder="transformer",
        encoder_hidden=(64, 64),
        decoder_hidden=(64, 64),
    )


def _few() -> FitVqvaeConfig:
    """For some dozens of chunks: a grid over shrunk principal axes, laid by closed form and cross-validation.

    Its scales are as good as left alone: 200 steps on forty chunks make unseen ones a fifth worse.
    """
    config = replace(_default(), quantizer="fsq", codebook_size=2048, decoder_hidden=(), padded=False)
    return replace(config, fit=replace(config.fit, steps=1, warmup_steps=0))


def _debug() -> FitVqvaeConfig:
    config = _default()
    short = replace(config.fit, steps=120, batch_size=256, warmup_steps=10, checkpoint_every=60, log_every=10)
    return replace(config, decoder_hidden=(64,), fit=short)


PRESETS: dict[str, Callable[[], FitVqvaeConfig]] = {
    "default": _default,
    "learnt-encoder": _learnt_encoder,
    "convolutional": _convolutional,
    "transformer": _transformer,
    "fine": _fine,
    "few": _few,
    "debug": _debug,
}


def fit_vqvae(
    source: EpisodeSource | Sequence[EpisodeSource],
    config: FitVqvaeConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    skip_corrupt: bool = False,
) -> tuple[dict[str, Any], list[Section]]:
    """Fit a codec to the series of `source` and write it to `out/codec`.

    Several sources give one codec that serves all their robots: one network and one set of codebooks, a spec
    and statistics for each (`VqVaeCodec.of_embodiment`).

    Reads no image where the source can do without (`read_series`). Interrupted, the same call goes on from
    its resume state in `out`. Episodes are split into those learnt from and those measured on by
    `config.fit.seed`; a single episode is both.

    Returns:
        A summary of plain values, and the sections of the run's page: quality on held-out episodes beside
        uniform bins, training curves, error per dimension, a decoded trajectory.

    Raises:
        DataError: no episode, actions of another width than the robot's, NaN or infinity (with
            `skip_corrupt`, such episodes are left out and counted).
        ConfigError: the settings contradict each other, or the sources' control rates differ and `config.hz`
            is not set.
        DivergedError, CheckpointError: as `vla_data.fit.fit`.
    """
    from vla_ts.vqvae_run import train_codec

    sources = source if isinstance(source, Sequence) else (source,)
    return train_codec(sources, config, out, on_progress, skip_corrupt=skip_corrupt)
