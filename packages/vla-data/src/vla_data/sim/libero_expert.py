"""A scripted expert for LIBERO: the goal of a task, fact by fact, by the skills of `libero_skills`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re

import numpy as np

from vla_data.phases import Phase
from vla_data.sim.libero import LiberoEnv
from vla_data.sim.libero_arm import Arm, Moves
from vla_data.sim.libero_fixtures import Drawer, close_drawer, slide, drawer_of, open_drawer, turn_knob
from vla_data.sim.libero_skills import Skills
from vla_data.types import ActionChunk, InputSpec, ObservationWindow


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
        """Begin anew with each slot's task."""
        for slot in slots:
            self._runs[slot] = _Run(*self._env.inside(slot))

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """One action for each window."""
        spec = self._env.robot.action
        return [ActionChunk(self._runs[w.slot].act()[None], spec) for w in windows]

    def phases(self, slots: Sequence[int]) -> list[Phase]:
        """What each slot's last action was for."""
        return [self._runs[slot].phase for slot in slots]


class _Run:
    def __init__(self, model: Any, data: Any, problem: Any) -> None:
        self.arm = Arm(model, data)
        self._moves = programme(Skills(self.arm), problem)
        self._numbers: dict[str, int] = {}
        self.phase = Phase(0, "wait")

    def act(self) -> np.ndarray:
        action = next(self._moves, None)
        text = self.arm.doing or "wait"
        self.phase = Phase(self._numbers.setdefault(text, len(self._numbers)), text)
        return self.arm.still() if action is None else action


def programme(skills: Skills, problem: Any) -> Moves:
    """All that a task asks for, one after the other."""
    facts = [tuple(fact) for fact in problem["goal_state"]]
    for fact in sorted(facts, key=lambda f: ORDER[f[0]]):
        sharing = [f for f in facts if f[2:] == fact[2:] and f[2:]]
        beside = sharing.index(fact) - (len(sharing) - 1) / 2 if sharing else 0.0
        yield from _made_true(skills, fact, beside * BESIDE)


BESIDE = 0.09  # metres between two things that shall be at one place
ORDER = {"open": 0, "turnon": 1, "in": 2, "on": 2, "close": 3, "turnoff": 3}


def _made_true(skills: Skills, fact: tuple[str, ...], beside: float) -> Moves:
    what, thing, *rest = fact
    called = words(thing)
    if what == "open":
        yield from open_drawer(skills, thing, called)
    elif what == "close":
        yield from close_drawer(skills, thing, called)
    elif what in ("turnon", "turnoff"):
        yield from turn_knob(skills, thing, called, on=what == "turnon")
    elif thing.startswith("plate"):
        yield from slide(skills, thing, spot_of(skills, thing, rest[0])[0], called)
    else:
        yield from _bring(skills, thing, rest[0], beside)


def words(name: str) -> str:
    return " ".join(w for w in name.removesuffix("_region").split("_") if not w.isdigit())


def _bring(skills: Skills, thing: str, target: str, beside: float) -> Moves:
    called = words(thing)
    drawer = None
    if target.endswith(("top_region", "middle_region", "bottom_region")) and "cabinet" in target:
        drawer = drawer_of(skills.arm, target)
        if drawer.left > 0.05:
            yield from open_drawer(skills, target, words(target))
        drawer = drawer_of(skills.arm, target)
    spot, where = spot_of(skills, thing, target)
    if beside and not target.endswith("contain_region"):
        spot = spot + [0, beside, 0]
    if drawer is not None:
        spot, where = _in_drawer(skills, target, drawer), "into the drawer"
    yield from skills.pick(thing, called, None if drawer is None else drawer.out)
    yield from skills.put(thing, spot, called, where, narrow_side(skills, target))


def _in_drawer(skills: Skills, target: str, drawer: Drawer) -> np.ndarray:
    """The middle of what is open of a drawer, on its floor."""
    cabinet = target.removesuffix("_region").rpartition("_")[0]
    roof = (skills.points(f"{cabinet}_base") @ drawer.out).max()
    front = (skills.points(drawer.body) @ drawer.out).max() - 0.045
    points = skills.points(drawer.body)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    spot = middle + drawer.out * ((roof + front) / 2 - middle @ drawer.out)
    return np.array([*spot[:2], points[:, 2].min() + 0.025])


def spot_of(skills: Skills, thing: str, target: str) -> tuple[np.ndarray, str]:
    """Where the middle of a thing's underside shall be, and the same in words."""
    model, data = skills.arm.model, skills.arm.data
    if target not in [model.site(i).name for i in range(model.nsite)]:
        points = skills.points(target)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        return np.array([*middle[:2], points[:, 2].min() + 0.012]), f"over the {words(target)}"
    site = model.site(target).id
    place = data.site_xpos[site].copy()
    if not target.endswith("contain_region"):
        return place, f"over the {words(target)}"
    walls = skills.points(re.sub(r"_([a-z]+_)?contain_region$", "", target))
    if target.startswith("basket"):
        return np.array([*place[:2], walls[:, 2].max() - 0.04]), "over the basket"
    near = (np.abs(walls - place)[:, :2] < model.site_size[site][:2] + 0.02).all(axis=1)
    points = skills.points(thing)
    tall = float(np.ptp(points[:, 2]))
    return np.array([*place[:2], walls[near, 2].max() - tall + 0.055]), "into the compartment"


def narrow_side(skills: Skills, target: str) -> np.ndarray | None:
    """The direction in which a region is clearly narrower than in the other, world frame."""
    model, data = skills.arm.model, skills.arm.data
    if target not in [model.site(i).name for i in range(model.nsite)]:
        return None
    site = model.site(target).id
    x, y = model.site_size[site][:2]
    if max(x, y) < 1.5 * min(x, y) or not target.endswith("contain_region"):
        return None
    return data.site_xmat[site].reshape(3, 3)[:, 0 if x < y else 1]
