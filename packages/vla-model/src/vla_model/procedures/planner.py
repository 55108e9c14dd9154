"""From goals to actions: each goal in turn, with an empty hand between, and what is in the way moved."""

from __future__ import annotations

from collections.abc import Iterable

from vla_data.errors import DataError
from vla_model.procedures.world import Action, Fact, World, apply


def plan(world: World, goals: Iterable[Fact]) -> list[Action]:
    """Actions that make the goals so, in their order.

    Raises:
        DataError: a goal is of a kind that nobody can reach.
    """
    maker = _Maker(world)
    for goal in goals:
        maker.reach(goal)
    return maker.actions


class _Maker:
    def __init__(self, world: World) -> None:
        self.world, self.actions = world, list[Action]()

    def do(self, verb: str, *things: str) -> None:
        action = Action(verb, things)
        self.world = apply(self.world, action)
        self.actions.append(action)

    def reach(self, goal: Fact) -> None:
        if self.world.holds(goal):
            return
        first = goal.things[0]
        reach = {
            "at": lambda: self.move(first, goal.things[1]),
            "open": lambda: self.make_open(first),
            "closed": lambda: self.do("close", first),
            "empty": lambda: self.clear(first),
            "clean": lambda: self.wipe(first),
            "full": lambda: self.use("pour", first),
            "cut": lambda: self.use("cut", first),
            "on": lambda: self.do("turn on", first),
            "off": lambda: self.do("turn off", first),
        }.get(goal.name)
        if reach is None:
            raise DataError("nobody knows how to make that so", where=goal.name, got=" ".join(goal.things))
        reach()

    def make_open(self, place: str) -> None:
        """Unlocked first, the key put back."""
        if place not in self.world.containers or place in self.world.open:
            return
        key = self.world.locked.get(place)
        if key is not None:
            home = self.take(key)
            self.do("unlock", place, key)
            self.do("put", key, home)
        self.do("open", place)

    def take(self, thing: str) -> str:
        """Into the hand, once it can be reached; where it was."""
        place = self.world.at[thing]
        self.make_open(place)
        self.uncover(thing)
        self.do("pick", thing, place)
        return place

    def uncover(self, thing: str) -> None:
        for top in self.world.covers(thing):
            self.move(top, self.elsewhere(self.world.at[thing]))

    def move(self, thing: str, place: str) -> None:
        self.make_open(place)
        self.take(thing)
        self.do("put", thing, place)

    def clear(self, surface: str) -> None:
        while things := [t for t in self.world.things_at(surface) if not self.world.covers(t)]:
            self.move(things[0], self.elsewhere(surface))

    def wipe(self, surface: str) -> None:
        self.clear(surface)
        self.use("wipe", surface)

    def use(self, verb: str, thing: str) -> None:
        """A tool on something, the tool put back."""
        tool = self.world.tools[verb]
        if verb != "wipe":
            self.uncover(thing)
        home = self.take(tool)
        self.do(verb, *((tool, thing) if verb == "pour" else (thing, tool)))
        self.do("put", tool, home)

    def elsewhere(self, surface: str) -> str:
        """The first other surface, by name."""
        return min(s for s in self.world.surfaces if s != surface)
