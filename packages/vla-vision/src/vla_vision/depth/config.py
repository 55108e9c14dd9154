"""How a depth network is trained: configuration and presets. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig

GROUP = 8
STRIDE = 16


@dataclass(frozen=True)
class CompactDepthConfig:
    """Sizes of a `CompactDepthNet`.

    Args:
        channels: feature maps at 1/2, 1/4, 1/8 and 1/16 of the resolution, multiples of 8.
        blocks: residual blocks at each of these scales.

    Raises:
        ConfigError: the tuples are not of length 4, or a width is not a multiple of 8.
    """

    channels: tuple[int, ...] = (32, 48, 96, 160)
    blocks: tuple[int, ...] = (0, 1, 2, 2)

    def __post_init__(self) -> None:
        sizes = len(self.channels) == len(self.blocks) == 4
        if not (
            sizes and all(c >= GROUP and c % GROUP == 0 for c in self.channels) and min(self.blocks) >= 0
        ):
            raise ConfigError(
                "a depth network cannot be built like this",
                where="CompactDepthConfig",
                expected="four widths, multiples of 8, and four numbers of blocks",
                got=f"channels {list(self.channels)}, blocks {list(self.blocks)}",
            )


@dataclass(frozen=True)
class ViewConfig:
    """How far virtual training cameras go from the real one.

    Args:
        turn: standard deviation of yaw and pitch, degrees.
        roll: standard deviation of roll, degrees.
        zoom: focal lengths are multiplied by a factor from 1 / √zoom … zoom, evenly in its logarithm.
        mirror: swap left and right half of the time.
        colour: standard deviation of gain per channel and of brightness.
        plain: share of the pictures left where they are.
    """

    turn: float = 5.0
    roll: float = 4.0
    zoom: float = 1.4
    mirror: bool = True
    colour: float = 0.1
    plain: float = 0.2

    def __post_init__(self) -> None:
        ranges = min(self.turn, self.roll, self.colour) >= 0 and self.zoom >= 1 and 0 <= self.plain <= 1
        if not ranges:
            raise ConfigError(
                "virtual cameras cannot be placed like this",
                where="ViewConfig",
                expected="turn, roll and colour at least 0, zoom at least 1, plain in [0, 1]",
                got=f"{self.turn}, {self.roll}, {self.colour}, {self.zoom}, {self.plain}",
            )


@dataclass(frozen=True)
class TrainDepthConfig:
    """How a depth network is trained.

    Args:
        network: sizes of the compact network; unused with `weights`.
        weights: go on from these: a depth network that `train_depth` made.
        height, width: pixels trained at; frames are cut to that aspect, then resized.
        cameras: train and measure on these; empty stands for all with depth.
        unseen: never trained on, only measured: a camera that is new to the network.
        frames: of all cameras together that are read, evenly from every episode.
        holdout: share of the episodes kept for measuring.
        max_depth: farther is as unknown as 0 (a simulator's sky lies at its far plane), metres.
        invariance: see `vla_vision.depth.losses`.
        gradient: weight of the gradient loss.
        views: virtual cameras.
        fit: optimiser, schedule, steps.
    """

    network: CompactDepthConfig = field(default_factory=CompactDepthConfig)
    weights: str | None = None
    height: int = 96
    width: int = 96
    cameras: tuple[str, ...] = ()
    unseen: str | None = None
    frames: int = 6000
    holdout: float = 0.2
    max_depth: float = 10.0
    invariance: float = 0.5
    gradient: float = 0.5
    views: ViewConfig = field(default_factory=ViewConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=2500,
            batch_size=16,
            learning_rate=2e-3,
            weight_decay=1e-2,
            ema_decay=0.997,
            precision="auto",
        )
    )

    def __post_init__(self) -> None:
        sides = self.height >= STRIDE and self.width >= STRIDE
        shares = 0 < self.holdout < 1 and 0 <= self.invariance <= 1 and self.gradient >= 0
        if not (sides and shares and self.max_depth > 0 and self.frames >= 2):
            raise ConfigError(
                "a depth network cannot be trained like this",
                where="TrainDepthConfig",
                expected=f"height and width at least {STRIDE}, holdout in (0, 1), invariance in [0, 1], "
                "gradient at least 0, max_depth positive, frames at least 2",
                got=f"{self.height}×{self.width}, {self.holdout}, {self.invariance}, {self.gradient}, "
                f"{self.max_depth}, {self.frames}",
            )


def _debug() -> TrainDepthConfig:
    network = CompactDepthConfig((8, 8, 16, 16), (0, 0, 0, 1))
    fit = FitConfig(
        steps=40, batch_size=4, learning_rate=3e-3, warmup_steps=5, ema_decay=0.9, checkpoint_every=10
    )
    return TrainDepthConfig(network, height=32, width=32, frames=200, fit=fit)


def _thorough() -> TrainDepthConfig:
    fit = FitConfig(
        steps=12_000,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=1e-2,
        ema_decay=0.998,
        precision="auto",
    )
    network = CompactDepthConfig((32, 64, 128, 256), (1, 2, 3, 3))
    return TrainDepthConfig(network, height=160, width=160, frames=20_000, fit=fit)


PRESETS: dict[str, Callable[[], TrainDepthConfig]] = {
    "default": TrainDepthConfig,
    "debug": _debug,
    "thorough": _thorough,
}
