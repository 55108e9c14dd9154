"""What the 3-D filter believes about sensors and motion, and named settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vla_data.errors import ConfigError


@dataclass(frozen=True)
class VelocityConfig:
    """Noise of the constant-velocity filter.

    Args:
        depth_noise: standard deviation of an object's depth, as a share of it (flicker from frame to frame).
        network_noise: the same for depth that a network says; None: `depth_noise`. Its errors last for many
            frames, so that a hundred frames tell little more than one: as noise that is new in every frame
            they count as larger than they are (measured on Meta-World: 9% for about 25 frames, so 0.6).
        depth_floor: the same in metres, for what is near.
        pixel_noise: standard deviation of an object's centre in the picture, pixels.
        acceleration: root of the spectral density of acceleration, m/s² per √Hz: velocity wanders by this
            many m/s within a second.
        start_speed: standard deviation of a new object's velocity, m/s.
        gate: squared Mahalanobis distance (3 degrees of freedom) beyond which a measurement is trusted less.
        max_gap: an object not measured for this many seconds begins anew.
        inner: share of a box whose depth is looked at.
        quantile: of the depths there, the one that stands for the object. What a box shows beside and behind
            a thing is farther, so less than a half: for Meta-World's gripper the spread over frames is 2 cm
            at 0.25 of 0.8 of the box, and 50 cm for the median of half of it. Masks take the median.
        min_valid: share of that which must have a depth.
        nearest, farthest: depths outside are taken for missing, metres.

    Raises:
        ConfigError: a noise is not positive.
    """

    depth_noise: float = 0.04
    network_noise: float | None = None
    depth_floor: float = 0.003
    pixel_noise: float = 1.5
    acceleration: float = 0.3
    start_speed: float = 0.5
    gate: float = 16.0
    max_gap: float = 1.0
    inner: float = 0.8
    quantile: float = 0.25
    min_valid: float = 0.2
    nearest: float = 0.02
    farthest: float = 100.0

    def __post_init__(self) -> None:
        names = ("depth_floor", "pixel_noise", "acceleration", "start_speed", "gate", "max_gap")
        wrong = [name for name in names if not getattr(self, name) > 0]
        shares = 0 < self.inner <= 1 and 0 <= self.quantile <= 1
        if wrong or min(self.depth_noise, self.network_noise or 0.0) < 0 or not shares:
            raise ConfigError(
                "a setting of the velocity filter is out of range",
                where="VelocityConfig",
                expected="noises above 0, 0 < inner ≤ 1, 0 ≤ quantile ≤ 1",
                got=", ".join(f"{n} {getattr(self, n):g}" for n in wrong)
                or f"depth_noise {self.depth_noise:g}, inner {self.inner:g}, quantile {self.quantile:g}",
            )


PRESETS: dict[str, Callable[[], VelocityConfig]] = {
    "default": VelocityConfig,  # things on a table that a robot moves, sensor or fine-tuned depth
    "street": lambda: VelocityConfig(depth_noise=0.06, depth_floor=0.1, acceleration=0.7, start_speed=5.0),
}
