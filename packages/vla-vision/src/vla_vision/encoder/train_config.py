"""How an encoder is trained: configuration and presets. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig
from vla_vision.encoder.config import PRESETS as ENCODERS
from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.extraction import ExtractConfig
from vla_vision.perception.sight import SightConfig


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder that is thrown away after training."""

    dim: int = 48
    layers: int = 1
    heads: int = 4


@dataclass(frozen=True)
class LossConfig:
    """What counts how much.

    Args:
        rgb, depth, flow: of the pictures made from tokens; of those, depth and flow where they are known.
        rows: of the object table read off each object's token by one linear layer.
        labels: of position and velocity of each class, from labelled episodes; 0 leaves labels alone.
        moving: how much more than 1 a pixel counts that moves.
    """

    rgb: float = 1.0
    depth: float = 1.0
    flow: float = 1.0
    rows: float = 0.3
    labels: float = 0.0
    moving: float = 4.0

    def __post_init__(self) -> None:
        negative = [name for name, value in vars(self).items() if not value >= 0]
        if negative:
            raise ConfigError(
                "a loss cannot count less than nothing",
                where=", ".join(negative),
                expected="at least 0",
                got=", ".join(f"{getattr(self, name):g}" for name in negative),
            )


@dataclass(frozen=True)
class TrainEncoderConfig:
    """How an encoder is trained.

    Args:
        encoder: its sizes and switches.
        sight: what looks at the frames.
        cameras: empty stands for all; every: one frame in so many is kept.
        holdout: share of the episodes kept for measuring.
        ahead: seconds from the latest frame to the later one that is made from the same tokens.
        hide: chance that a sample's pictures are made without object tokens, or without patch tokens: each
            kind learns to stand alone.
        drop: chance that a sample is seen without depth, and without flow.
        colour: standard deviation of gain per colour and of brightness.
        decoder, loss, fit: of training.

    Raises:
        ConfigError: a share is out of range.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    sight: SightConfig = field(default_factory=SightConfig)
    cameras: tuple[str, ...] = ()
    every: int = 1
    holdout: float = 0.15
    ahead: float = 0.15
    hide: float = 0.3
    drop: float = 0.15
    colour: float = 0.15
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=4000, batch_size=8, learning_rate=2e-3, weight_decay=5e-2, ema_decay=0.998
        )
    )

    def __post_init__(self) -> None:
        shares = 0 < self.holdout < 1 and 0 <= self.hide <= 1 and 0 <= self.drop <= 1
        if not (shares and self.ahead > 0 and self.colour >= 0):
            raise ConfigError(
                "an encoder cannot be trained like this",
                where="TrainEncoderConfig",
                expected="holdout in (0, 1), hide and drop in [0, 1], ahead positive, colour at least 0",
                got=f"{self.holdout:g}, {self.hide:g}, {self.drop:g}, {self.ahead:g}, {self.colour:g}",
            )

    @property
    def extract(self) -> ExtractConfig:
        """What is stored of the episodes."""
        return ExtractConfig(self.encoder.features, self.sight, self.cameras, self.every)


def _debug() -> TrainEncoderConfig:
    fit = FitConfig(
        steps=30, batch_size=4, learning_rate=3e-3, warmup_steps=5, ema_decay=0.9, checkpoint_every=10
    )
    return TrainEncoderConfig(ENCODERS["debug"](), decoder=DecoderConfig(16, 1, 2), fit=fit)


def _large() -> TrainEncoderConfig:
    fit = FitConfig(
        steps=40_000,
        batch_size=64,
        learning_rate=5e-4,
        weight_decay=2e-2,
        warmup_steps=500,
        ema_decay=0.9995,
        precision="auto",
    )
    return TrainEncoderConfig(ENCODERS["large"](), decoder=DecoderConfig(256, 3, 8), fit=fit)


PRESETS: dict[str, Callable[[], TrainEncoderConfig]] = {
    "default": TrainEncoderConfig,
    "debug": _debug,
    "large": _large,
}
