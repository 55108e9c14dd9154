"""Made-up series with what they are made of, and the answers that follow from it.

An answer is None where the question does not apply or where the series does not determine it: the margins
stand beside each question, those of trend, season and change in `evidence`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_ts.language.attributes import AXES, MotionAttributes, PairAttributes, WaveAttributes
from vla_ts.language.drawing import AMPLITUDES, Split, draw_motion, draw_pair, draw_wave, pair_values
from vla_ts.language.evidence import Evidence
from vla_ts.language.scaling import short
from vla_ts.language.series import NamedSeries

NAMES = ("speed", "force", "torque", "current", "height", "angle", "pressure", "load")
QUARTERS = ("first", "second", "third", "fourth")
LARGEST_LAST = 20  # last values beyond are not asked for
EXTREME_MARGIN = 0.05  # of the span: how far an extreme stands above those of the other quarters
ROUND_MARGIN = 0.02  # of the span: how far a value lies from where its rounding changes
WEAK, STRONG = (
    (0.015, 0.03),
    0.08,
)  # noise over span; more than three standard errors from the middle of the gap
ALIKE, UNLIKE = 0.8, 0.2  # correlations of related and unrelated dimensions, in absolute value
JITTER = 0.003  # metres and gripper openings, in motions


@dataclass(frozen=True, eq=False)
class Scene:
    """A series and what it was made of.

    Args:
        series: what is seen.
        attributes: of each dimension, or of the whole.
        asked: names that a question puts in: of one dimension, or of two.
        place: of the dimension asked about.
    """

    series: NamedSeries
    attributes: tuple[WaveAttributes, ...] | tuple[PairAttributes] | tuple[MotionAttributes]
    asked: tuple[str, ...]
    place: int = 0

    @property
    def wave(self) -> WaveAttributes:
        """The attributes of the dimension asked about."""
        made_of = self.attributes[self.place]
        assert isinstance(made_of, WaveAttributes)
        return made_of

    @property
    def seen(self) -> np.ndarray:
        """The values of the dimension asked about, float32 [steps]."""
        return self.series.values[:, self.place]


def wave_scene(rng: np.random.Generator, split: Split, steps: int, dims: int) -> Scene:
    """Dimensions of trend, season, change and noise, one of which is asked about."""
    names = tuple(str(n) for n in rng.choice(NAMES, dims, replace=False))
    made_of = tuple(draw_wave(rng, split, steps) for _ in names)
    columns = [w.clean() + w.unit * w.sigma * rng.standard_normal(steps) for w in made_of]
    place = int(rng.integers(len(names)))
    values = np.stack(columns, 1).astype(np.float32)
    return Scene(NamedSeries(values, names), made_of, (names[place],), place)


def pair_scene(rng: np.random.Generator, split: Split, steps: int, dims: int = 2) -> Scene:
    """Two dimensions that move together, oppositely or without regard for each other."""
    names = tuple(str(n) for n in rng.choice(NAMES, 2, replace=False))
    pair = draw_pair(rng, split, steps)
    values = pair_values(rng, pair)
    noise = {"none": 0.0, "weak": 0.1}[pair.noise] * rng.standard_normal(values.shape) * values.std(0)
    unit, level = np.exp(rng.uniform(np.log(0.5), np.log(20), 2)), rng.uniform(-2, 2, 2)
    seen = ((values + noise + level) * unit).astype(np.float32)
    return Scene(NamedSeries(seen, names), (pair,), names)


def motion_scene(rng: np.random.Generator, split: Split, steps: int, dims: int = 4) -> Scene:
    """A hand that moves along an axis while its gripper closes, opens or stays."""
    motion = draw_motion(rng, split, steps)
    start = np.append(rng.uniform(-0.5, 0.5, 3), 0.0)
    seen = motion.clean() + start + JITTER * rng.standard_normal((steps, 4))
    return Scene(NamedSeries(seen.astype(np.float32), (*AXES, "gripper")), (motion,), ())


def trend(scene: Scene) -> str | None:
    return scene.wave.trend if Evidence(scene.wave).trend() else None


def period(scene: Scene) -> str | None:
    if not Evidence(scene.wave).period():
        return None
    return str(scene.wave.period) if scene.wave.period else "none"


def amplitude(scene: Scene) -> str | None:
    """In the units of the series, one of `AMPLITUDES`."""
    wave = scene.wave
    if not (wave.period and Evidence(wave).amplitude()):
        return None
    return short(min(AMPLITUDES, key=lambda a: abs(a - wave.amplitude * wave.unit)))


def noise(scene: Scene) -> str | None:
    """Relative to the span of the series."""
    wave, span = scene.wave, float(np.ptp(scene.seen))
    if not np.ptp(wave.shape()):
        return None
    share = wave.sigma * wave.unit / span
    if share == 0:
        return "none"
    return "strong" if share >= STRONG else "weak" if WEAK[0] <= share <= WEAK[1] else None


def change(scene: Scene) -> str | None:
    return scene.wave.change if Evidence(scene.wave).change() else None


def change_at(scene: Scene) -> str | None:
    """The quarter that the change happens in."""
    size = scene.wave.steps // 4
    quarter = scene.wave.change_at // size
    clear = Evidence(scene.wave).change_at(quarter * size, (quarter + 1) * size)
    return QUARTERS[quarter] if clear else None


def maximum(scene: Scene) -> str | None:
    """The quarter that holds the largest value."""
    return _quarter_of_largest(scene.seen)


def minimum(scene: Scene) -> str | None:
    """The quarter that holds the smallest value."""
    return _quarter_of_largest(-scene.seen)


def last(scene: Scene) -> str | None:
    """The last value, to the next whole number."""
    value, span = float(scene.seen[-1]), float(np.ptp(scene.seen))
    whole = round(value)
    clear = 0.5 - abs(value - whole) >= max(0.1, ROUND_MARGIN * span)
    return str(whole) if clear and abs(whole) <= LARGEST_LAST else None


def relation(scene: Scene) -> str | None:
    (pair,) = scene.attributes
    assert isinstance(pair, PairAttributes)
    first, second = scene.series.values.T.astype(np.float64)
    seen = abs(
        float(np.mean((first - first.mean()) * (second - second.mean()))) / (first.std() * second.std())
    )
    clear = seen <= UNLIKE if pair.relation == "unrelated" else seen >= ALIKE
    return pair.relation if clear else None


def axis(scene: Scene) -> str | None:
    return _motion(scene).axis


def direction(scene: Scene) -> str | None:
    return _motion(scene).direction


def gripper(scene: Scene) -> str | None:
    return _motion(scene).gripper


def gripper_at(scene: Scene) -> str | None:
    """The first step at which the gripper has closed or opened."""
    return str(_motion(scene).gripper_at) if _motion(scene).gripper != "stays" else None


def order(scene: Scene) -> str | None:
    """Whether the gripper does it before, during or after the hand's motion."""
    return _motion(scene).order if _motion(scene).gripper != "stays" else None


def _motion(scene: Scene) -> MotionAttributes:
    (motion,) = scene.attributes
    assert isinstance(motion, MotionAttributes)
    return motion


def _quarter_of_largest(values: np.ndarray) -> str | None:
    best = values.reshape(4, -1).max(1).astype(np.float64)
    first, second = np.sort(best)[::-1][:2]
    clear = first - second >= EXTREME_MARGIN * float(np.ptp(values)) > 0
    return QUARTERS[int(best.argmax())] if clear else None


Draw = Callable[[np.random.Generator, Split, int, int], Scene]
Answer = Callable[[Scene], str | None]
