"""A scripted expert for LIBERO: what the goal of a task says, fact by fact, by a few skills.

It reads the simulator's own state, never pictures. Facts are those of LIBERO's task files (BDDL): `On`, `In`,
`Open`, `Close`, `TurnOn`, `TurnOff`. What it cannot do: doors that turn (microwave, fridge), and what needs
more time than a suite's cap.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from vla_data.phases import Phase
from vla_data.sim.libero import LiberoEnv
from vla_data.sim.libero_arm import Arm, Moves
from vla_data.sim.libero_fixtures import close_drawer, drawer_of, open_drawer, slide, turn_knob
from vla_data.sim.libero_skills import Skills
from vla_data.sim.libero_spots import IN_DRAWER, in_drawer, narrow_side, spot_of, words
from vla_data.types import ActionChunk, InputSpec, ObservationWindow

log = logging.getLogger(__name__)

# What has to be done before what: a thing is put into a drawer before that is closed.
ORDER = {"open": 0, "turnon": 1, "in": 2, "on": 2, "close": 3, "turnoff": 3}
BESIDE = 0.09  # metres between two things that shall be at one place
ASTRAY = 0.06  # metres: what lies farther from where it shall be was lost on the way
LEAST_OPEN = 0.05  # metres: a drawer that can still be opened so far is not open


class LiberoExpert:
    """Reads the simulator's own state; a `Policy`.

    Args:
        env: where it acts.
    """

    def __init__(self, env: LiberoEnv) -> None:
        self._env = env
        self._runs: dict[int, _Run] = {}
        self.input_spec = InputSpec(env.robot, (), action_horizon=1, instruction=False, privileged=True)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin anew with each slot's task; it draws no random numbers."""
        for slot in slots:
            begins = not self._env.went_on(slot)
            self._runs[slot] = _Run(self._env.current_task(slot), begins, *self._env.inside(slot))

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """One action for each window; it keeps still in tasks that ask for what it cannot do."""
        spec = self._env.robot.action
        return [ActionChunk(self._runs[w.slot].act()[None], spec) for w in windows]

    def phases(self, slots: Sequence[int]) -> list[Phase]:
        """What each slot's last action was for."""
        return [self._runs[slot].phase for slot in slots]


class _Run:
    """An episode under way."""

    def __init__(
        self, task: str, begins: bool, model: Any, data: Any, facts: Sequence[Sequence[str]]
    ) -> None:
        self.arm = Arm(model, data, begins=begins)
        skills = Skills(self.arm)
        self._moves = chain(() if begins else skills.leave(), programme(skills, facts, task))
        self._numbers: dict[str, int] = {}
        self.phase = Phase(0, "wait")

    def act(self) -> np.ndarray:
        action = next(self._moves, None)
        text = self.arm.doing or "wait"
        self.phase = Phase(self._numbers.setdefault(text, len(self._numbers)), text)
        return self.arm.still() if action is None else action


def programme(skills: Skills, facts: Sequence[Sequence[str]], task: str) -> Moves:
    """All that a goal asks for, one after the other.

    Args:
        facts: as LIBERO reads them from a task file: `["on", thing, place]`, `["open", region]`, …
        task: named in the log.
    """
    beyond = [f for f in facts if not can_do(f)]
    if beyond:
        log.warning("LIBERO's expert keeps still: it cannot make %s true, %s", " ".join(beyond[0]), task)
        return
    for fact in sorted(facts, key=lambda f: ORDER[f[0]]):
        sharing = [f for f in facts if f[2:] and f[2:] == fact[2:]]
        beside = BESIDE * (sharing.index(fact) - (len(sharing) - 1) / 2) if sharing else 0.0
        yield from _made_true(skills, fact, beside)


def can_do(fact: Sequence[str]) -> bool:
    """Whether it can make a fact true: no door that turns, nothing that is shut behind one."""
    shut = fact[0] in ("open", "close") and not IN_DRAWER.search(fact[1])
    return fact[0] in ORDER and not shut


def _made_true(skills: Skills, fact: Sequence[str], beside: float) -> Moves:
    what, thing, *place = fact
    called = words(thing)
    if what in ("open", "close"):
        yield from (open_drawer if what == "open" else close_drawer)(skills, thing, called)
    elif what in ("turnon", "turnoff"):
        yield from turn_knob(skills, thing, called, on=what == "turnon")
    elif thing.startswith("plate"):
        yield from slide(skills, thing, spot_of(skills, thing, place[0])[0], called)
    else:
        yield from _bring(skills, thing, place[0], beside)


def _bring(skills: Skills, thing: str, place: str, beside: float) -> Moves:
    """Pick a thing up and put it somewhere, into a drawer that is opened first where it is shut."""
    called, out = words(thing), None
    if IN_DRAWER.search(place):
        if drawer_of(skills.arm, place).left > LEAST_OPEN:
            yield from open_drawer(skills, place, words(place))
        drawer = drawer_of(skills.arm, place)
        out, (spot, where) = drawer.out, in_drawer(skills, place, drawer)
    else:
        spot, where = spot_of(skills, thing, place)
        if not place.endswith("contain_region"):
            spot = spot + np.array([0.0, beside, 0.0])
    along = narrow_side(skills, place)
    while np.linalg.norm((skills.centre(thing) - spot)[:2]) > ASTRAY:
        yield from skills.pick(thing, called, out)
        yield from skills.put(thing, spot, called, where, along)
