"""Tasks by family: what kind of thing is to be done, with scenes drawn at random.

A family says where things come from, where they go, and what else is to be so. Families of `HELD_OUT` are
made of the same actions as the others, in combinations that training never shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vla_data.errors import UnknownNameError
from vla_model.procedures.planner import plan
from vla_model.procedures.wording import listed
from vla_model.procedures.world import Action, Fact, World, verify

COLOURS = ("red", "blue", "green", "yellow", "white", "black", "orange", "purple", "grey", "pink")
THINGS = (
    "mug", "bowl", "plate", "book", "box of tea", "bottle", "can", "toy car", "candle", "notebook", "glass",
    "pan", "spoon", "basket", "lemon", "block", "ball", "remote control", "pot", "jar",
)  # fmt: skip
FOOD = ("apple", "carrot", "tomato", "cucumber", "potato", "pear", "onion", "banana", "peach", "melon")
CUPS = ("mug", "glass", "cup", "vase", "bowl", "teapot")
SURFACES = ("table", "counter", "shelf", "desk", "bench", "windowsill", "stove", "sideboard")
CONTAINERS = ("drawer", "cabinet", "fridge", "box", "cupboard", "chest", "oven", "locker")
DEVICES = ("lamp", "radio", "fan", "kettle", "heater", "printer")
TOOLS = {
    "wipe": ("sponge", "cloth", "rag"),
    "pour": ("jug", "watering can", "pitcher"),
    "cut": ("knife", "cutter"),
}


@dataclass(frozen=True)
class Procedure:
    """A task in a world, and a checklist that does it."""

    family: str
    world: World
    task: str
    goals: tuple[Fact, ...]
    actions: tuple[Action, ...]


class _Scene:
    """A world that is being made up."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        names = rng.permutation(SURFACES)[: rng.integers(2, 4)]
        self.world = World(
            frozenset(map(str, names)), tools={v: str(rng.choice(t)) for v, t in TOOLS.items()}
        )
        self._used: set[str] = set()

    def surface(self, but: Sequence[str] = ()) -> str:
        return str(self.rng.choice(sorted(self.world.surfaces - set(but))))

    def thing(self, place: str | None = None, kinds: Sequence[str] = THINGS) -> str:
        """A new thing of a colour, on a surface unless said otherwise."""
        while True:
            name = f"{self.rng.choice(COLOURS)} {self.rng.choice(kinds)}"
            if name not in self._used:
                break
        self._used.add(name)
        return self.place(name, place)

    def place(self, name: str, place: str | None = None) -> str:
        self.world = replace(self.world, at={**self.world.at, name: place or self.surface()})
        return name

    def tool(self, verb: str) -> str:
        return self.place(self.world.tools[verb])

    def container(self, state: str = "closed") -> str:
        """A new container: open, closed or locked, with its key on a surface."""
        free = sorted(set(CONTAINERS) - self.world.containers)
        name = str(self.rng.choice(free))
        self.world = replace(self.world, containers=self.world.containers | {name})
        if state == "open":
            self.world = replace(self.world, open=self.world.open | {name})
        if state == "locked":
            key = self.place(f"{self.rng.choice(COLOURS)} key")
            self.world = replace(self.world, locked={**self.world.locked, name: key})
        return name

    def cover(self, thing: str) -> str:
        """Something that stands on a thing."""
        top = self.thing(self.world.at[thing])
        self.world = replace(self.world, below={**self.world.below, top: thing})
        return top

    def clutter(self, most: int = 3) -> None:
        for _ in range(int(self.rng.integers(0, most + 1))):
            self.thing()
        if self.rng.random() < 0.5:
            self.container(str(self.rng.choice(["open", "closed"])))

    def say(self, *ways: str) -> str:
        return str(self.rng.choice(ways))

    def device(self, on: bool) -> str:
        name = str(self.rng.choice(sorted(set(DEVICES) - self.world.devices)))
        running = self.world.on | {name} if on else self.world.on
        self.world = replace(self.world, devices=self.world.devices | {name}, on=running)
        return name


Made = tuple[str, tuple[Fact, ...]]
Family = Callable[[_Scene], Made]


def _source(scene: _Scene, kind: str) -> tuple[str, str]:
    """A thing that is to be had: on a surface, below another, or in a container of a kind."""
    if kind in ("surface", "below"):
        thing = scene.thing()
        if kind == "below":
            scene.cover(thing)
        return thing, scene.world.at[thing]
    place = scene.container(kind)
    return scene.thing(place), place


def _move(source: str, target: str, close: bool = False) -> Family:
    """A thing from one kind of place to another, the container perhaps closed after."""

    def make(scene: _Scene) -> Made:
        thing, place = _source(scene, source)
        goal = scene.surface([place]) if target == "surface" else scene.container(target)
        where = "on" if target == "surface" else "in"
        task = scene.say("put", "place", "move") + f" the {thing} {where} the {goal}"
        if target == "surface" and source in ("open", "closed", "locked") and scene.rng.random() < 0.5:
            task = (
                scene.say("get", "fetch", "take") + f" the {thing} from the {place} and put it on the {goal}"
            )
        goals = [Fact("at", (thing, goal))]
        if close:
            shut = goal if target != "surface" else place
            task += scene.say(f", then close the {shut}", f" and close the {shut}")
            goals.append(Fact("closed", (shut,)))
        return task, tuple(goals)

    return make


def _two(target: str) -> Family:
    def make(scene: _Scene) -> Made:
        things = [scene.thing() for _ in range(2)]
        goal = scene.container(target) if target != "surface" else scene.surface([scene.world.at[things[0]]])
        where = "on" if target == "surface" else "in"
        task = scene.say("put", "place") + f" {listed(things)} {where} the {goal}"
        return task, tuple(Fact("at", (t, goal)) for t in things)

    return make


def _wipe(then: bool = False) -> Family:
    def make(scene: _Scene) -> Made:
        surface = scene.surface()
        scene.world = replace(scene.world, dirty=scene.world.dirty | {surface})
        if scene.rng.random() < 0.7:
            scene.thing(surface)
        scene.place(scene.world.tools["wipe"], scene.surface([surface]))
        task, goals = scene.say("wipe", "clean") + f" the {surface}", [Fact("clean", (surface,))]
        if then:
            thing = scene.thing(scene.surface([surface]))
            task += f", then put the {thing} on it"
            goals.append(Fact("at", (thing, surface)))
        return task, tuple(goals)

    return make


def _clear(scene: _Scene) -> Made:
    surface = scene.surface()
    for _ in range(int(scene.rng.integers(1, 4))):
        scene.thing(surface)
    return scene.say("clear", "empty", "take everything off") + f" the {surface}", (
        Fact("empty", (surface,)),
    )


def _use(verb: str, source: str = "surface", device: bool = False) -> Family:
    """Something cut or filled, perhaps brought out first, perhaps a device switched on after."""

    def make(scene: _Scene) -> Made:
        kinds = FOOD if verb == "cut" else CUPS
        place = None if source == "surface" else scene.container(source)
        thing = scene.thing(place, kinds)
        scene.tool(verb)
        goals, task = [], ""
        if place is not None:
            surface = scene.surface()
            task = f"take the {thing} out of the {place}, put it on the {surface} and "
            goals.append(Fact("at", (thing, surface)))
        task += scene.say("cut", "slice") if verb == "cut" else scene.say("fill", "pour water into")
        task += f" the {thing}"
        goals.append(Fact("cut" if verb == "cut" else "full", (thing,)))
        if device:
            name = scene.device(False)
            task += f", then turn on the {name}"
            goals.append(Fact("on", (name,)))
        return task, tuple(goals)

    return make


def _switch(on: bool, move: bool) -> Family:
    def make(scene: _Scene) -> Made:
        name = scene.device(not on)
        word = "on" if on else "off"
        task, goals = scene.say(f"turn {word} the {name}", f"switch the {name} {word}"), [Fact(word, (name,))]
        if move:
            thing = scene.thing()
            goal = scene.surface([scene.world.at[thing]])
            task += f" and put the {thing} on the {goal}"
            goals.append(Fact("at", (thing, goal)))
        return task, tuple(goals)

    return make


TRAINED: dict[str, Family] = {
    "surface to surface": _move("surface", "surface"),
    "surface to open container": _move("surface", "open"),
    "surface to closed container": _move("surface", "closed"),
    "surface to closed container, close": _move("surface", "closed", close=True),
    "surface to locked container": _move("surface", "locked"),
    "below to surface": _move("below", "surface"),
    "below to closed container": _move("below", "closed"),
    "open container to surface": _move("open", "surface"),
    "closed container to surface": _move("closed", "surface"),
    "closed container to surface, close": _move("closed", "surface", close=True),
    "closed container to closed container": _move("closed", "closed"),
    "locked container to surface": _move("locked", "surface"),
    "two to a surface": _two("surface"),
    "two to a closed container": _two("closed"),
    "clear": _clear,
    "wipe": _wipe(),
    "cut": _use("cut"),
    "cut, from a closed container": _use("cut", "closed"),
    "pour": _use("pour"),
    "pour, then a device": _use("pour", device=True),
    "turn on": _switch(True, move=False),
    "turn off": _switch(False, move=False),
    "turn off and move": _switch(False, move=True),
}
HELD_OUT: dict[str, Family] = {
    "below to closed container, close": _move("below", "closed", close=True),
    "locked container to surface, close": _move("locked", "surface", close=True),
    "locked container to closed container": _move("locked", "closed"),
    "two to an open container": _two("open"),
    "wipe, then put": _wipe(then=True),
    "pour, from a closed container": _use("pour", "closed"),
    "cut, then a device": _use("cut", device=True),
    "turn on and move": _switch(True, move=True),
}


def make_procedure(family: str, rng: np.random.Generator) -> Procedure:
    """A procedure of a family, in a scene drawn by `rng`; its checklist passes.

    Raises:
        UnknownNameError: there is no such family.
    """
    make = TRAINED.get(family) or HELD_OUT.get(family)
    if make is None:
        raise UnknownNameError("family of procedures", family, (*TRAINED, *HELD_OUT))
    scene = _Scene(rng)
    task, goals = make(scene)
    scene.clutter()
    actions = plan(scene.world, goals)
    problem = verify(scene.world, actions, goals)
    assert not problem, f"{family}: {problem}"
    return Procedure(family, scene.world, task, goals, tuple(actions))
