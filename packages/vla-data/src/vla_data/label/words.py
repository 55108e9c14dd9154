"""A sentence for each sub-step, from its motion and from what the instruction names.

Templates, not a language model: what is said can be checked against the numbers. Directions are said for a
frame whose axes are known: z is up in world and base frames; x is forward and y left in a base frame (REP
103). In a world frame nobody knows which way the robot looks: there an axis is named, unless `facing` tells.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vla_data.label.motion import Motion, full_speed
from vla_data.types import SubStep

Facing = Literal["+x", "-x", "+y", "-y"]

STILL = 0.08  # of full speed: slower on average is holding still
STEEP = 1.2  # vertical motion this much longer than level motion is up or down
CLOSED = 0.2  # change of the gripper command that is worth saying


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS = _words(
    """align arrange bring carry clean close cover deposit do drag drop dunk fetch fill fit flip
    fold get grab grasp hammer hang hit hold hook insert kick knock lift load lock lower make move
    nudge open pick place position pour press pull push put raise reach rearrange release remove
    reorient roll rotate scoop score secure shift shove shut slide stack stir strike sweep swing
    take tap throw tilt topple transfer turn twist uncover unfold unlock unplug use wash wipe"""
)
_PLACES = _words(
    """above against along around at away behind below beside by down for from in inside into near next of off
    on onto out over past through till to toward towards under until up upon with without"""
)
_ARTICLES = _words("the a an its your this other")
_NOT_THINGS = (
    _PLACES
    | _VERBS
    | _ARTICLES
    | _words(
        """and or it then which that is are back upright vertical horizontal closed left right side sideways
        please end top front there again one"""
    )
)
_GOALS = {"in", "inside", "into", "on", "onto", "to", "toward", "towards", "at", "over", "through", "under"}
_DIRECTIONS = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1)}


@dataclass(frozen=True)
class Things:
    """What an instruction names: the thing handled and where to, with articles; empty when unknown."""

    thing: str = ""
    goal: str = ""


def find_things(instruction: str) -> Things:
    """The thing and the goal of an instruction in English, by the words around them; nothing of a sentence
    without a verb that is known, which may be in any language."""
    words = re.findall(r"[a-z0-9'-]+", instruction.lower())
    if _VERBS.isdisjoint(words):
        return Things()
    chunks: list[tuple[str, list[str]]] = [("", [])]
    for word in words:
        if word in _NOT_THINGS:
            chunks.append((word, []))
        else:
            chunks[-1][1].append(word)
    named = [(before, _phrase(chunk)) for before, chunk in _with_lead(chunks) if chunk]
    thing = next(
        (phrase for before, phrase in named if before not in _PLACES or before in ("up", "down")), ""
    )
    thing = thing or (named[0][1] if named else "")
    goal = next((phrase for before, phrase in reversed(named) if before in _GOALS and phrase != thing), "")
    return Things(thing, goal)


def _with_lead(chunks: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Each chunk with the last word before it that is no article: "into the sink" leads with "into"."""
    found, lead = [], ""
    for before, chunk in chunks:
        lead = lead if before in _ARTICLES else before
        found.append((lead, chunk))
    return found


def _phrase(chunk: Sequence[str]) -> str:
    return "the " + " ".join(chunk[:3])


def describe(
    motion: Motion,
    edges: Sequence[int],
    instruction: str = "",
    facing: Facing | None = None,
    *,
    join: bool = False,
) -> tuple[SubStep, ...]:
    """The sub-steps between `edges` (0 … T), each with its text.

    With `join`, neighbours of one text become one: what reads the same is the same part of a task.
    """
    things = find_things(instruction)
    teller = _Teller(motion, things, facing, _first_grasp(motion, edges))
    told = [SubStep(a, b, teller.text(a, b)) for a, b in itertools.pairwise(edges) if b > a]
    return tuple(_joined(told) if join else told)


def _joined(steps: Sequence[SubStep]) -> list[SubStep]:
    found: list[SubStep] = []
    for step in steps:
        if found and found[-1].text == step.text:
            step = SubStep(found.pop().start, step.stop, step.text)
        found.append(step)
    return found


def _first_grasp(motion: Motion, edges: Sequence[int]) -> int:
    """The sub-step in which the gripper first closes; as many as there are when it never does."""
    means = [_grip(motion, a, b) for a, b in itertools.pairwise(edges)]
    return next((i for i in range(1, len(means)) if means[i] - means[i - 1] > CLOSED), len(means))


def _grip(motion: Motion, start: int, stop: int) -> float:
    return 0.0 if motion.closing is None else float(np.median(motion.closing[start:stop]))


class _Teller:
    """Says one sub-step after the other; remembers whether something is held.

    Args:
        motion: of the whole episode.
        things: what the instruction names.
        facing: which way the robot looks in a world frame.
        grasp: the sub-step in which the gripper first closes.
    """

    def __init__(self, motion: Motion, things: Things, facing: Facing | None, grasp: int) -> None:
        self._motion, self._things, self._facing, self._grasp = motion, things, facing, grasp
        self._speed, self._turning = full_speed(motion.travel), motion.full_turn
        self._held = self._released = False
        self._last: float | None = None
        self._count = 0

    def text(self, start: int, stop: int) -> str:
        grip = _grip(self._motion, start, stop)
        change = 0.0 if self._last is None else grip - self._last
        self._last = grip
        if abs(change) > CLOSED:
            self._held, self._released = change > 0, change < 0
        said = self._gripper(change)
        moving = self._moving(start, stop, closing=change > CLOSED)
        self._count += 1
        return f"{said} and {moving}" if said and moving else said or moving or "hold still"

    def _gripper(self, change: float) -> str:
        thing = self._things.thing
        if change > CLOSED:
            return f"close the gripper on {thing}" if thing else "close the gripper"
        if change < -CLOSED:
            return f"open the gripper and let go of {thing}" if thing else "open the gripper"
        return ""

    def _moving(self, start: int, stop: int, closing: bool) -> str:
        way = self._motion.travel[start:stop].sum(axis=0)
        steps = stop - start
        pace = float(np.linalg.norm(way)) / (steps * self._speed)
        turned = float(np.linalg.norm(self._motion.turn[start:stop].sum(axis=0))) / (steps * self._turning)
        if pace < STILL and turned < STILL:
            return ""
        if turned > pace and self._motion.turn.shape[1]:
            return "turn the hand"
        upright, level = self._direction(way)
        if closing and upright == "down":
            return "lower the hand"  # still on its way to what it will hold
        return self._aimed(upright, level)

    def _direction(self, way: np.ndarray) -> tuple[str, str]:
        """("up", "down", "level" or "") and the words for the level part."""
        if not self._motion.axes or self._motion.frame not in ("world", "base"):
            return "", ""
        x, y, z = (way[self._motion.axes.index(i)] if i in self._motion.axes else 0.0 for i in range(3))
        if abs(z) > STEEP * np.hypot(x, y):
            return ("up" if z > 0 else "down"), ""
        return "level", self._level(float(x), float(y))

    def _level(self, x: float, y: float) -> str:
        facing = self._facing or ("+x" if self._motion.frame == "base" else None)
        if facing is None:
            axis, value = max((("x", x), ("y", y)), key=lambda pair: abs(pair[1]))
            return f"along {'+' if value > 0 else '-'}{axis}"
        axis, sign = _DIRECTIONS[facing]
        ahead = sign * (x, y)[axis]
        left = sign * (y if axis == 0 else -x)
        if abs(ahead) >= abs(left):
            return "forward" if ahead > 0 else "back"
        return "left" if left > 0 else "right"

    def _aimed(self, upright: str, level: str) -> str:
        """The motion with what it is aimed at, as far as the instruction tells."""
        thing, goal = self._things.thing, self._things.goal
        if self._held:
            verb = {"up": "lift", "down": "lower"}.get(upright, "carry")
            end = f" {level}".rstrip() + (f" towards {goal}" if goal and upright == "level" else "")
            return f"{verb} {thing or 'what is held'}{end}"
        verb = {"up": "rise", "down": "lower the hand"}.get(upright, f"move {level}".rstrip())
        if self._released:
            return f"{verb}, away from {thing}" if thing else verb
        before = self._count < self._grasp
        return f"{verb} towards {thing}" if thing and before and upright != "up" else verb
