"""What is kept of a frame, and the sizes of the encoder that reads it. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from vla_data.errors import ConfigError

Part = Literal["objects", "patches", "both"]
Channel = Literal["rgb", "depth", "flow"]
CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "flow")
COARSEST = 4  # pixels; cells are this or twice, four times … as wide


@dataclass(frozen=True)
class FeatureConfig:
    """What is kept of a frame.

    Args:
        height, width: pixels of the dense channels; the whole frame is scaled to them.
        rows: of the object table.
        look_dim: numbers that say how an object looks.
        class_names: classes that the table tells apart, in the order of their numbers; every other class
            has the number after the last.
        hold: seconds that a row stays with an object out of sight.
        max_depth: farther is as unknown as 0, metres.

    Raises:
        ConfigError: a size is out of range, or a class is named twice.
    """

    height: int = 64
    width: int = 64
    rows: int = 16
    look_dim: int = 32
    class_names: tuple[str, ...] = ()
    hold: float = 2.0
    max_depth: float = 20.0

    def __post_init__(self) -> None:
        sizes = {"height": self.height, "width": self.width, "rows": self.rows, "look_dim": self.look_dim}
        wrong = [f"{name} {size}" for name, size in sizes.items() if size < 1]
        wrong += [
            f"{name} {getattr(self, name):g}" for name in ("hold", "max_depth") if not getattr(self, name) > 0
        ]
        wrong += [f"class {name} twice" for name in set(self.class_names) if self.class_names.count(name) > 1]
        if wrong:
            raise ConfigError(
                "frames cannot be kept like this",
                where="FeatureConfig",
                expected="sizes of at least 1, positive times and distances, each class once",
                got=", ".join(wrong),
            )

    @property
    def classes(self) -> int:
        """Class numbers: one a name, and one for all others."""
        return len(self.class_names) + 1


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and switches of a `VideoEncoder`.

    Args:
        features: what it is handed of each frame.
        width: numbers in a token.
        parts: tokens of objects, of patches, or both.
        history: frames that one call looks at, K; objects are those of the last one.
        channels: what the patches are made of; without "depth" or "flow" the network has no part for it.
        patch_tokens: tokens that TokenLearner makes of the patches of all K frames.
        cell: pixels a side of a patch: 4, 8, 16 …
        dim: channels within the patch encoder.
        layers, heads: of its transformer.

    Raises:
        ConfigError: a size is out of range or does not divide what it has to.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    width: int = 128
    parts: Part = "both"
    history: int = 1
    channels: tuple[Channel, ...] = CHANNELS
    patch_tokens: int = 16
    cell: int = 8
    dim: int = 96
    layers: int = 1
    heads: int = 4

    def __post_init__(self) -> None:
        problems = [
            f"{name} {getattr(self, name)}"
            for name in ("width", "history", "patch_tokens", "dim", "heads")
            if getattr(self, name) < 1
        ]
        powers = [COARSEST * 2**i for i in range(8)]
        if self.cell not in powers or self.features.height % self.cell or self.features.width % self.cell:
            problems.append(f"cell {self.cell} of {self.features.height}×{self.features.width}")
        if self.layers < 0 or (self.heads > 0 and self.dim % self.heads) or self.dim % 16:
            problems.append(f"dim {self.dim}, layers {self.layers}, heads {self.heads}")
        if not self.channels or len(set(self.channels)) < len(self.channels):
            problems.append(f"channels {list(self.channels)}")
        if problems:
            raise ConfigError(
                "an encoder cannot be built like this",
                where="EncoderConfig",
                expected="sizes of at least 1; cell 4, 8, 16 … that divides height and width; dim a multiple "
                "of 16 and of heads; at least one channel, each once",
                got="; ".join(problems),
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of a frame: rows and columns."""
        return self.features.height // self.cell, self.features.width // self.cell

    @property
    def has_objects(self) -> bool:
        return self.parts != "patches"

    @property
    def has_patches(self) -> bool:
        return self.parts != "objects"

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one call, which stand for the latest frame and its history."""
        return self.features.rows * self.has_objects + self.patch_tokens * self.has_patches


def _debug() -> EncoderConfig:
    features = FeatureConfig(height=32, width=32, rows=4, look_dim=8)
    return EncoderConfig(features, width=32, patch_tokens=4, dim=16, layers=1, heads=2)


def _large() -> EncoderConfig:
    features = FeatureConfig(height=128, width=128, rows=32, look_dim=64)
    return EncoderConfig(features, width=384, patch_tokens=32, dim=256, layers=6, heads=8)


PRESETS: dict[str, Callable[[], EncoderConfig]] = {
    "default": EncoderConfig,  # trains on a CPU in minutes
    "debug": _debug,
    "large": _large,
}
