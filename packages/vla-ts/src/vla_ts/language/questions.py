"""What can be asked about a series: the kinds of questions, their wordings and the words of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vla_ts.language import scenes
from vla_ts.language.attributes import AXES, CHANGES, GRIPPER, ORDERS, PERIODS, RELATIONS
from vla_ts.language.drawing import AMPLITUDES
from vla_ts.language.scaling import short
from vla_ts.language.scenes import LARGEST_LAST, QUARTERS, Answer, Draw

Lengths = Literal["long", "short"]


@dataclass(frozen=True)
class Question:
    """A kind of question.

    Args:
        draw: makes a series that it may be asked of.
        answer: the answer, or None where there is none for sure.
        wordings: ways to put it; {} takes the names asked about.
        answers: all that it can be answered with.
        lengths: motions are shorter than the rest.
        balanced: draw until the answer is one chosen beforehand, all equally often; else as they come.
    """

    draw: Draw
    answer: Answer
    wordings: tuple[str, ...]
    answers: tuple[str, ...]
    lengths: Lengths = "long"
    balanced: bool = False


def _wave(answer: Answer, answers: tuple[str, ...], *wordings: str) -> Question:
    return Question(scenes.wave_scene, answer, wordings, answers)


def _motion(answer: Answer, answers: tuple[str, ...], *wordings: str) -> Question:
    return Question(scenes.motion_scene, answer, wordings, answers, "short")


LONGEST_MOTION = 24

QUESTIONS: dict[str, Question] = {
    "trend": _wave(
        scenes.trend,
        ("rising", "flat", "falling"),
        "which way does {} drift ?",
        "what is the trend of {} ?",
    ),
    "period": _wave(
        scenes.period,
        ("none", *map(str, PERIODS)),
        "after how many steps does {} repeat ?",
        "what is the period of {} ?",
    ),
    "amplitude": _wave(
        scenes.amplitude,
        tuple(map(short, AMPLITUDES)),
        "what is the amplitude of {} ?",
        "how far does {} swing from its middle ?",
    ),
    "noise": Question(
        scenes.wave_scene,
        scenes.noise,
        ("how strong is the noise of {} ?", "how noisy is {} ?"),
        ("none", "weak", "strong"),
        balanced=True,
    ),
    "change": _wave(
        scenes.change,
        CHANGES,
        "which sudden change is there in {} ?",
        "what happens suddenly to {} ?",
    ),
    "change_at": _wave(
        scenes.change_at,
        QUARTERS,
        "in which quarter does {} change suddenly ?",
        "when is the sudden change of {} ?",
    ),
    "maximum": _wave(
        scenes.maximum, QUARTERS, "in which quarter is {} largest ?", "where is the maximum of {} ?"
    ),
    "minimum": _wave(
        scenes.minimum, QUARTERS, "in which quarter is {} smallest ?", "where is the minimum of {} ?"
    ),
    "last": _wave(
        scenes.last,
        tuple(map(str, range(-LARGEST_LAST, LARGEST_LAST + 1))),
        "what is the last value of {} ?",
        "at which whole number does {} end ?",
    ),
    "relation": Question(
        scenes.pair_scene,
        scenes.relation,
        ("how do {} and {} move ?", "are {} and {} related ?"),
        RELATIONS,
    ),
    "axis": _motion(
        scenes.axis, AXES, "along which axis does the hand move ?", "which axis is moved along ?"
    ),
    "direction": _motion(
        scenes.direction,
        ("forwards", "backwards"),
        "in which direction does the hand move ?",
        "which way does the hand go ?",
    ),
    "gripper": _motion(
        scenes.gripper, GRIPPER, "what does the gripper do ?", "how does the gripper change ?"
    ),
    "gripper_at": _motion(
        scenes.gripper_at,
        tuple(map(str, range(1, LONGEST_MOTION))),
        "at which step has the gripper changed ?",
        "when does the gripper change ?",
    ),
    "order": _motion(
        scenes.order,
        ORDERS,
        "does the gripper change before , during or after the motion ?",
        "when does the gripper change , seen from the motion of the hand ?",
    ),
}
