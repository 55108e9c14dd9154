"""Phases of a demonstration, as whoever gave it says them, and the sub-steps they make up.

The phase of an instant is what the demonstrator was about: for a scripted expert, the branch its action came
from. Noise and thresholds make an expert flicker between two branches for an instant. The series `phase`
keeps what was said; `substeps` leaves out what lasted less than `MIN_STEPS` steps, since nobody would call
that a part of a task.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from vla_data.types import ActionSpec, SubStep

MIN_STEPS = 3
GRIPPER_CHANGE = 0.125  # of its range: less is a firmer grip, not a closing


class Phase(NamedTuple):
    """What a demonstrator is about: `number` within its task, and the same in words."""

    number: int
    text: str


@runtime_checkable
class PhasedPolicy(Protocol):
    """What a `Policy` may offer besides: the phase that its last answer in each slot belongs to.

    The roll-out loop asks for it when it records and the policy has it.
    """

    def phases(self, slots: Sequence[int]) -> list[Phase]: ...


def runs(numbers: Sequence[int] | np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of each stretch of equal numbers, in order."""
    values = np.asarray(numbers)
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def without_flicker(numbers: Sequence[int] | np.ndarray, min_steps: int = MIN_STEPS) -> np.ndarray:
    """`numbers` with each stretch of less than `min_steps` given to a neighbour, the shortest first.

    It goes to the longer neighbour; the earlier one of equals. What then lies between two stretches of one
    phase joins them.
    """
    values = np.array(numbers)
    while True:
        stretches = runs(values)
        start, stop = min(stretches, key=lambda s: s[1] - s[0], default=(0, min_steps))
        if stop - start >= min_steps or len(stretches) < 2:
            return values
        at = stretches.index((start, stop))
        near = [stretches[i] for i in (at - 1, at + 1) if 0 <= i < len(stretches)]
        longer = max(near, key=lambda s: s[1] - s[0])
        values[start:stop] = values[longer[0]]


def substeps(phases: Sequence[Phase], action: np.ndarray, spec: ActionSpec) -> tuple[SubStep, ...]:
    """The sub-steps that the phases of T steps make up, without flicker; the gripper's part is said first.

    Args:
        phases: one a step.
        action: float32 [T, action_dim], which tells what the gripper does.
        spec: what the action means.
    """
    texts = {phase.number: phase.text for phase in phases}
    numbers = without_flicker([phase.number for phase in phases])
    found: list[SubStep] = []
    for start, stop in runs(numbers):
        doing = texts[int(numbers[start])]
        before = action[found[-1].start : start] if found else action[start:stop]
        grip = _gripper_words(before, action[start:stop], spec)
        found.append(SubStep(start, stop, f"{grip} and {doing}" if grip else doing))
    return tuple(found)


def _gripper_words(before: np.ndarray, during: np.ndarray, spec: ActionSpec) -> str:
    """ "close the gripper" or "open the gripper" where its command differs from the last sub-step's."""
    dims = [i for i, d in enumerate(spec.dims) if d.quantity == "gripper"]
    if not dims or spec.gripper_closes is None:
        return ""
    i = dims[0]
    change = float(np.median(during[:, i]) - np.median(before[:, i])) * spec.gripper_closes
    threshold = GRIPPER_CHANGE * (spec.dims[i].high - spec.dims[i].low)
    return "" if abs(change) < threshold else "close the gripper" if change > 0 else "open the gripper"
