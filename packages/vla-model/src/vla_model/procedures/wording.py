"""Worlds, tasks and actions in words, and actions back from words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vla_model.procedures.world import Action, World

BOX, DONE = "- [ ] ", "- [x] "
# Verb → how it is said; {0} and {1} are the things. "in" for containers, "on" for surfaces.
SENTENCES = {
    ("open", 1): "open the {0}",
    ("close", 1): "close the {0}",
    ("unlock", 2): "unlock the {0} with the {1}",
    ("wipe", 2): "wipe the {0} with the {1}",
    ("pour", 2): "pour water from the {0} into the {1}",
    ("cut", 2): "cut the {0} with the {1}",
    ("turn on", 1): "turn on the {0}",
    ("turn off", 1): "turn off the {0}",
}
_PATTERNS = [
    *(
        (verb, re.compile(re.sub(r"\\\{(\d)\\\}", r"(?P<t\1>.+)", re.escape(said))))
        for (verb, _), said in SENTENCES.items()
    ),
    ("pick", re.compile(r"pick up the (?P<t0>.+) from the (?P<t1>.+)")),
    ("put", re.compile(r"put the (?P<t0>.+) (?:in|on) the (?P<t1>.+)")),
]


def said(action: Action, world: World) -> str:
    """An action as a step of a checklist."""
    if action.verb == "pick":
        return f"pick up the {action.things[0]} from the {action.things[1]}"
    if action.verb == "put":
        where = "in" if action.things[1] in world.containers else "on"
        return f"put the {action.things[0]} {where} the {action.things[1]}"
    return SENTENCES[action.verb, len(action.things)].format(*action.things)


def understood(step: str) -> Action | None:
    """The action that a step says; None where it says none."""
    text = step.strip().rstrip(".").lower()
    for verb, pattern in _PATTERNS:
        found = pattern.fullmatch(text)
        if found is not None:
            return Action(verb, tuple(found[f"t{i}"] for i in range(len(found.groupdict()))))
    return None


def checklist(actions: Sequence[Action], world: World, done: int = 0) -> str:
    """A markdown checklist, the first `done` of it ticked."""
    return "\n".join((DONE if i < done else BOX) + said(a, world) for i, a in enumerate(actions))


def steps_of(text: str) -> list[str]:
    """The steps of a markdown checklist, ticked or not; other lines are left out."""
    return [line[len(BOX) :] for line in text.splitlines() if line.startswith((BOX, DONE))]


def described(world: World) -> str:
    """What is so, in sentences a person would say."""
    lines = []
    for surface in sorted(world.surfaces):
        things = [t for t in sorted(world.things_at(surface)) if t not in world.below]
        if things:
            verb = "are" if len(things) > 1 else "is"
            lines.append(f"On the {surface} {verb} {listed(things)}.")
        else:
            lines.append(f"The {surface} is empty.")
        lines += [f"The {surface} is dirty."] if surface in world.dirty else []
    for container in sorted(world.containers):
        inside = [t for t in sorted(world.things_at(container)) if t not in world.below]
        state = "open" if container in world.open else "locked" if container in world.locked else "closed"
        lines.append(f"The {container} is {state}" + (f" and holds {listed(inside)}." if inside else "."))
    lines += [f"The {top} stands on the {base}." for top, base in sorted(world.below.items())]
    lines += [f"The {key} unlocks the {place}." for place, key in sorted(world.locked.items())]
    lines += [f"The {d} is {'on' if d in world.on else 'off'}." for d in sorted(world.devices)]
    uses = {"wipe": "wipes", "pour": "holds water", "cut": "cuts"}
    lines += [f"The {tool} {uses[verb]}." for verb, tool in sorted(world.tools.items()) if tool in world.at]
    return " ".join(lines)


def listed(things: Sequence[str]) -> str:
    """ "the mug, the bowl and the plate"."""
    named = [f"the {t}" for t in things]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
