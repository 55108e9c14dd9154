"""A household in facts, and what actions need and do: the verifier of every checklist.

A world says where things are, what stands on what, which containers are open or locked, what is clean, full,
cut or switched on. An action is allowed when its preconditions hold; a checklist passes when all its actions
are allowed, one after the other, and the goals hold at the end with the hand empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from vla_data.errors import DataError

HAND = "hand"


@dataclass(frozen=True)
class Action:
    """A verb and its things, in the order they are said: ("put", "red mug", "drawer")."""

    verb: str
    things: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Something that holds: ("at", "red mug", "drawer"), ("clean", "table")."""

    name: str
    things: tuple[str, ...]


class NotAllowedError(DataError):
    """An action whose precondition does not hold."""


@dataclass(frozen=True)
class World:
    """What is so.

    Args:
        surfaces, containers, devices: places and appliances by name.
        at: thing → surface, container, or `HAND`.
        below: thing → what it stands on, where that is another thing.
        open: containers that are open.
        locked: container → the key that unlocks it, while it is locked.
        dirty: surfaces to be wiped.
        tools: what is used for wiping, pouring and cutting: verb → thing.
        full, cut, on: cups with water, food in pieces, devices that run.
    """

    surfaces: frozenset[str]
    containers: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    at: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[str, str] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    locked: Mapping[str, str] = field(default_factory=dict)
    dirty: frozenset[str] = frozenset()
    tools: Mapping[str, str] = field(default_factory=dict)
    full: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()

    @property
    def held(self) -> str | None:
        """What is in the hand."""
        return next((thing for thing, place in self.at.items() if place == HAND), None)

    def covers(self, thing: str) -> list[str]:
        """What stands on a thing."""
        return [top for top, base in self.below.items() if base == thing]

    def things_at(self, place: str) -> list[str]:
        """What is on a surface or in a container."""
        return [thing for thing, where in self.at.items() if where == place]

    def holds(self, fact: Fact) -> bool:
        """Whether a fact is so."""
        first = fact.things[0] if fact.things else ""
        return {
            "at": lambda: self.at.get(first) == fact.things[1],
            "closed": lambda: first in self.containers and first not in self.open,
            "open": lambda: first in self.open,
            "clean": lambda: first in self.surfaces and first not in self.dirty,
            "empty": lambda: not self.things_at(first),
            "full": lambda: first in self.full,
            "cut": lambda: first in self.cut,
            "on": lambda: first in self.on,
            "off": lambda: first not in self.on,
        }[fact.name]()


def apply(world: World, action: Action) -> World:
    """The world after an action.

    Raises:
        NotAllowedError: a precondition does not hold; the message says which.
    """
    act = ACTIONS.get((action.verb, len(action.things)))
    if act is None:
        raise NotAllowedError("nobody can do that", where=action.verb, got=" ".join(action.things))
    return act(world, *action.things)


def verify(world: World, actions: Iterable[Action], goals: Iterable[Fact]) -> str:
    """Why a checklist fails; "" where it does what it should."""
    for number, action in enumerate(actions, 1):
        try:
            world = apply(world, action)
        except NotAllowedError as problem:
            return f"step {number}: {problem.message}"
    missing = [f"{g.name} {' '.join(g.things)}" for g in goals if not world.holds(g)]
    if missing:
        return f"at the end not so: {missing[0]}"
    return f"the {world.held} is still in the hand" if world.held is not None else ""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise NotAllowedError(message)


def _reach(world: World, thing: str, place: str) -> None:
    _need(world.at.get(thing) == place, f"the {thing} is not there")
    _need(place not in world.containers or place in world.open, f"the {place} is closed")
    _need(not world.covers(thing), f"something stands on the {thing}")


def _pick(world: World, thing: str, place: str) -> World:
    _need(world.held is None, "the hand is full")
    _reach(world, thing, place)
    below = {k: v for k, v in world.below.items() if k != thing}
    return replace(world, at={**world.at, thing: HAND}, below=below)


def _put(world: World, thing: str, place: str) -> World:
    _need(world.held == thing, f"the {thing} is not in the hand")
    known = place in world.surfaces or place in world.containers
    _need(known, f"there is no {place}")
    _need(place in world.surfaces or place in world.open, f"the {place} is closed")
    return replace(world, at={**world.at, thing: place})


def _open(world: World, place: str) -> World:
    _need(world.held is None, "the hand is full")
    _need(place in world.containers and place not in world.open, f"the {place} cannot be opened")
    _need(place not in world.locked, f"the {place} is locked")
    return replace(world, open=world.open | {place})


def _close(world: World, place: str) -> World:
    _need(world.held is None, "the hand is full")
    _need(place in world.open, f"the {place} is not open")
    return replace(world, open=world.open - {place})


def _unlock(world: World, place: str, key: str) -> World:
    _need(world.held == key, f"the {key} is not in the hand")
    _need(world.locked.get(place) == key, f"the {key} does not unlock the {place}")
    return replace(world, locked={k: v for k, v in world.locked.items() if k != place})


def _wipe(world: World, surface: str, tool: str) -> World:
    _need(world.held == tool and world.tools.get("wipe") == tool, f"the {tool} is not in the hand")
    _need(surface in world.surfaces, f"there is no {surface}")
    _need(not world.things_at(surface), f"something is on the {surface}")
    return replace(world, dirty=world.dirty - {surface})


def _pour(world: World, tool: str, cup: str) -> World:
    _need(world.held == tool and world.tools.get("pour") == tool, f"the {tool} is not in the hand")
    _need(world.at.get(cup) in world.surfaces, f"the {cup} stands on nothing")
    _need(not world.covers(cup), f"something stands on the {cup}")
    _need(cup not in world.full, f"the {cup} is full")
    return replace(world, full=world.full | {cup})


def _cut(world: World, food: str, tool: str) -> World:
    _need(world.held == tool and world.tools.get("cut") == tool, f"the {tool} is not in the hand")
    _need(world.at.get(food) in world.surfaces, f"the {food} lies on nothing")
    _need(not world.covers(food), f"something stands on the {food}")
    return replace(world, cut=world.cut | {food})


def _switch(on: bool) -> Callable[[World, str], World]:
    def act(world: World, device: str) -> World:
        _need(world.held is None, "the hand is full")
        _need(device in world.devices and (device in world.on) != on, f"the {device} cannot be switched")
        return replace(world, on=world.on | {device} if on else world.on - {device})

    return act


ACTIONS: dict[tuple[str, int], Callable[..., World]] = {
    ("pick", 2): _pick,
    ("put", 2): _put,
    ("open", 1): _open,
    ("close", 1): _close,
    ("unlock", 2): _unlock,
    ("wipe", 2): _wipe,
    ("pour", 2): _pour,
    ("cut", 2): _cut,
    ("turn on", 1): _switch(True),
    ("turn off", 1): _switch(False),
}
