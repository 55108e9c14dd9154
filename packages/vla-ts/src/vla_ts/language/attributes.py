"""What a made-up series is made of. The series is computed from these numbers, never the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

PERIODS = (4, 6, 8, 12)  # steps; 0 stands for no season
Change = Literal["none", "rise", "drop", "spike", "dip"]
CHANGES: tuple[Change, ...] = ("none", "rise", "drop", "spike", "dip")
STEPS: tuple[Change, ...] = ("rise", "drop")  # the level stays where it went; a spike or dip is one step long
NOISE = {"none": 0.0, "weak": 0.06, "strong": 0.3}  # standard deviations, in units of `unit`

# The weakest of each effect that is ever drawn, in units of `unit`: less than this does not occur.
MIN_RISE, MIN_AMPLITUDE, MIN_STEP, MIN_SPIKE = 1.5, 0.6, 1.5, 2.5


@dataclass(frozen=True)
class WaveAttributes:
    """One dimension: level + trend + season + one local change, then noise.

    Args:
        steps: length.
        rise: what the trend adds from the first step to the last, in units; 0 for none.
        period: of the season in steps; 0 for none.
        amplitude: of the season, in units: half its swing.
        phase: of the season, in turns.
        change: kind of the local change.
        change_at: the step at which it happens: the first on the new level, or the spike itself.
        change_height: how far it goes, in units, above zero for rise and spike; 0 for none.
        noise: name of its strength in `NOISE`.
        unit: what one unit is in the series' own units.
        level: of the whole, in the series' own units.
    """

    steps: int
    rise: float
    period: int
    amplitude: float
    phase: float
    change: Change
    change_at: int
    change_height: float
    noise: str
    unit: float
    level: float

    @property
    def trend(self) -> str:
        """ "rising", "falling" or "flat"."""
        return "flat" if self.rise == 0 else "rising" if self.rise > 0 else "falling"

    def shape(self) -> Float64[np.ndarray, "steps"]:
        """The series without noise, in units, around zero level."""
        t = np.arange(self.steps)
        shape = self.rise * (t / (self.steps - 1) - 0.5)
        if self.period:
            shape = shape + self.amplitude * np.sin(2 * np.pi * (t / self.period + self.phase))
        if self.change != "none":
            where = t >= self.change_at if self.change in STEPS else t == self.change_at
            shape = shape + self.change_height * where
        return shape

    def clean(self) -> Float64[np.ndarray, "steps"]:
        """The series without noise, in its own units."""
        return self.level + self.unit * self.shape()

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, in units."""
        return NOISE[self.noise]


Relation = Literal["together", "opposite", "unrelated"]
RELATIONS: tuple[Relation, ...] = ("together", "opposite", "unrelated")


@dataclass(frozen=True)
class PairAttributes:
    """Two dimensions that move together, oppositely or without regard for each other.

    Args:
        steps: length.
        relation: of the second to the first.
        waves: sine waves that the first is made of.
        gain: spread of the second over that of the first.
        noise: name of its strength in `NOISE`; added to each by itself.
    """

    steps: int
    relation: Relation
    waves: int
    gain: float
    noise: str


AXES = ("x", "y", "z")
Gripper = Literal["closes", "opens", "stays"]
GRIPPER: tuple[Gripper, ...] = ("closes", "opens", "stays")
Order = Literal["before", "during", "after"]
ORDERS: tuple[Order, ...] = ("before", "during", "after")


@dataclass(frozen=True)
class MotionAttributes:
    """A hand that moves along one axis, and a gripper: 1 is open, 0 closed.

    Args:
        steps: length.
        axis: the one it moves along.
        distance: from start to end, in metres; its sign is the direction.
        begins, ends: steps between which the hand moves.
        gripper: what it does.
        gripper_at: the first step at which it has done so.
        order: when it does so, seen from the hand's motion.
    """

    steps: int
    axis: str
    distance: float
    begins: int
    ends: int
    gripper: Gripper
    gripper_at: int
    order: Order

    @property
    def direction(self) -> str:
        """ "forwards" along the axis or "backwards"."""
        return "forwards" if self.distance > 0 else "backwards"

    def clean(self) -> Float64[np.ndarray, "steps dims"]:
        """x, y, z and gripper without jitter, the hand starting at zero."""
        t = np.arange(self.steps)
        done = np.clip((t - self.begins) / (self.ends - self.begins), 0, 1)
        out = np.zeros((self.steps, 4))
        # The position of least jerk between two rests (Flash and Hogan 1985).
        out[:, AXES.index(self.axis)] = self.distance * done**3 * (10 - 15 * done + 6 * done**2)
        has = t >= self.gripper_at
        out[:, 3] = {"closes": 1 - has, "opens": has, "stays": np.zeros(self.steps)}[self.gripper]
        return out
