"""Questions about scenes whose answers the simulator knows exactly.

A question is asked only where its answer is clear: things that are seen, and differences above a margin. Of
two answers each is as likely, so that nothing is won by knowing the words alone; what counting wins is
measured beside the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vla_data.objects import VISIBLE, in_camera, object_names
from vla_data.types import Episode

Kind = Literal["count", "relation", "depth", "speed", "reading"]
KINDS: tuple[Kind, ...] = ("count", "relation", "depth", "speed")
# Numbers are taught beside them: one is easier to learn than what follows from two.
TAUGHT: tuple[Kind, ...] = (*KINDS, "reading")
TENTH = 0.1  # metres, m/s: what a number that is read counts
SEEN = 12  # pixels
ASIDE, DEEPER, FASTER = 0.06, 0.08, 0.08  # metres, metres, m/s: what makes a difference
MOVES, STILL = 0.06, 0.01  # m/s: above the one a thing moves, below the other it does not


@dataclass(frozen=True)
class Question:
    """What is asked, and the answer.

    `first` are the names of the things that it asks about, `second` of the other one of two.
    """

    kind: Kind
    text: str
    answer: str
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Facts:
    """The things that a camera sees at one instant.

    Args:
        names: "red ball"; the last word says what it is, what comes before it how it looks.
        position, velocity: of their centres, in the camera's axes (x right, y down, z forward), metres, m/s.
    """

    names: tuple[str, ...]
    position: Float32[np.ndarray, "n 3"]
    velocity: Float32[np.ndarray, "n 3"]

    @property
    def speed(self) -> Float32[np.ndarray, "n"]:
        return np.linalg.norm(self.velocity, axis=-1)


def facts_of(episode: Episode, camera: str) -> list[Facts]:
    """The facts of every step of a labelled episode.

    Raises:
        DataError: it has no labels of that camera.
    """
    names = object_names(episode)
    position, velocity = in_camera(episode, camera)
    pixels = np.asarray(episode.series[VISIBLE + camera])[:, : len(names)]
    found = []
    for step in range(len(episode)):
        rows = np.flatnonzero(pixels[step] >= SEEN)
        told = tuple(names[r].name for r in rows)
        found.append(Facts(told, position[step, rows], velocity[step, rows]))
    return found


def ask(facts: Facts, rng: np.random.Generator, kind: Kind) -> Question | None:
    """A question of a kind; None where nothing of the kind is clear in this scene."""
    ways = list(_WAYS[kind])
    for i in rng.permutation(len(ways)):
        question = ways[i](facts, rng)
        if question is not None:
            return Question(kind, *question)
    return None


def ask_some(facts: Facts, rng: np.random.Generator, count: int) -> list[Question]:
    """Up to `count` different questions, each way of asking as often as `_WAYS` says."""
    every: list[tuple[Kind, Way]] = [(kind, way) for kind in TAUGHT for way in _WAYS[kind]]
    often = np.array([_WAYS[kind][way] for kind, way in every], float)
    found: dict[str, Question] = {}
    for i in rng.choice(len(every), 4 * count, p=often / often.sum()):
        kind, way = every[int(i)]
        told = way(facts, rng)
        if told is not None:
            found.setdefault(told[0], Question(kind, *told))
        if len(found) == count:
            break
    return list(found.values())


def caption(facts: Facts) -> str:
    """What there is, from left to right."""
    order = np.argsort(facts.position[:, 0])
    told = [f"a {facts.names[i]}" for i in order]
    if not told:
        return "There is nothing."
    return "From left to right: " + ", ".join(told) + "."


# The text, the answer, and the names of what is asked about.
Asked = tuple[str, str, tuple[str, ...], tuple[str, ...]]
Way = Callable[[Facts, np.random.Generator], Asked | None]


def _count_all(facts: Facts, rng: np.random.Generator) -> Asked | None:
    return "How many things are there?", str(len(facts.names)), facts.names, ()


def _count_some(facts: Facts, rng: np.random.Generator) -> Asked | None:
    """Of a colour or a shape that some thing in the scene has."""
    if not facts.names:
        return None
    word = str(rng.choice(facts.names[int(rng.integers(len(facts.names)))].split()))
    counted = tuple(name for name in facts.names if word in name.split())
    shape = any(name.split()[-1] == word for name in facts.names)
    text = f"How many {word}s are there?" if shape else f"How many {word} things are there?"
    return text, str(len(counted)), counted, ()


def _pair(values: Sequence[float], margin: float, rng: np.random.Generator) -> tuple[int, int] | None:
    """Two things that differ clearly, in either order."""
    value = np.asarray(values)
    one, other = np.nonzero(np.abs(value[:, None] - value[None]) >= margin)
    if not len(one):
        return None
    pick = int(rng.integers(len(one)))
    return int(one[pick]), int(other[pick])


def _either(facts: Facts, word: str, one: int, other: int, first: bool) -> Asked:
    """Which of two it is: what was compared first, then the name, which a small model can copy once it has
    said that; both in one step it does not learn (see docs/lab-notes.md)."""
    text = f"Which is {word}, the {facts.names[one]} or the {facts.names[other]}?"
    answer = f"first, the {facts.names[one]}" if first else f"second, the {facts.names[other]}"
    return text, answer, (facts.names[one],), (facts.names[other],)


def _aside(facts: Facts, rng: np.random.Generator) -> Asked | None:
    found = _pair(facts.position[:, 0].tolist(), ASIDE, rng)
    if found is None:
        return None
    a, b = found
    side = str(rng.choice(["left", "right"]))
    true = (facts.position[a, 0] < facts.position[b, 0]) == (side == "left")
    text = f"Is the {facts.names[a]} {side} of the {facts.names[b]}?"
    return text, "yes" if true else "no", (facts.names[a],), (facts.names[b],)


def _which_aside(facts: Facts, rng: np.random.Generator) -> Asked | None:
    found = _pair(facts.position[:, 0].tolist(), ASIDE, rng)
    if found is None:
        return None
    a, b = found
    side = str(rng.choice(["left", "right"]))
    first = (facts.position[a, 0] < facts.position[b, 0]) == (side == "left")
    return _either(facts, f"further {side}", a, b, bool(first))


def _nearer(facts: Facts, rng: np.random.Generator) -> Asked | None:
    found = _pair(facts.position[:, 2].tolist(), DEEPER, rng)
    if found is None:
        return None
    a, b = found
    nearer = bool(rng.random() < 0.5)
    first = (facts.position[a, 2] < facts.position[b, 2]) == nearer
    return _either(facts, "nearer" if nearer else "farther", a, b, bool(first))


def _before(facts: Facts, rng: np.random.Generator) -> Asked | None:
    found = _pair(facts.position[:, 2].tolist(), DEEPER, rng)
    if found is None:
        return None
    a, b = found
    true = facts.position[a, 2] < facts.position[b, 2]
    text = f"Is the {facts.names[a]} nearer than the {facts.names[b]}?"
    return text, "yes" if true else "no", (facts.names[a],), (facts.names[b],)


def _moves(facts: Facts, rng: np.random.Generator) -> Asked | None:
    wanted = bool(rng.random() < 0.5)
    rows = np.flatnonzero(facts.speed >= MOVES if wanted else facts.speed <= STILL)
    if not len(rows):
        return None
    name = facts.names[int(rng.choice(rows))]
    return f"Is the {name} moving?", "yes" if wanted else "no", (name,), ()


def _faster(facts: Facts, rng: np.random.Generator) -> Asked | None:
    found = _pair(facts.speed.tolist(), FASTER, rng)
    if found is None:
        return None
    a, b = found
    return _either(facts, "faster", a, b, bool(facts.speed[a] > facts.speed[b]))


def _where(facts: Facts, rng: np.random.Generator) -> Asked | None:
    """Right of the camera's axis and ahead of the camera, in tenths of a metre."""
    if not facts.names:
        return None
    row = int(rng.integers(len(facts.names)))
    x, _, z = (round(float(v) / TENTH) for v in facts.position[row])
    return f"Where is the {facts.names[row]}?", f"right {x}, ahead {z}", (facts.names[row],), ()


def _how_fast(facts: Facts, rng: np.random.Generator) -> Asked | None:
    """In tenths of a metre a second."""
    if not facts.names:
        return None
    row = int(rng.integers(len(facts.names)))
    speed = str(round(float(facts.speed[row]) / TENTH))
    return f"How fast is the {facts.names[row]}?", speed, (facts.names[row],), ()


# How often each is asked while a model learns: which of two it is takes longest to learn.
_WAYS: dict[Kind, dict[Way, int]] = {
    "count": {_count_all: 1, _count_some: 3},
    "relation": {_aside: 2, _which_aside: 4},
    "depth": {_nearer: 4, _before: 2},
    "speed": {_moves: 2, _faster: 2},
    "reading": {_where: 3, _how_fast: 1},
}
