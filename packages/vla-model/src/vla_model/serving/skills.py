"""Which skill somebody means: by its name or by one of its wordings, and never by a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from vla_data.errors import VlaError


class UnknownSkillError(VlaError):
    """An instruction is none that the robot was taught."""


def find_skill(asked: str, skills: Mapping[str, Sequence[str]]) -> str:
    """The name of the skill that is meant.

    Args:
        skills: name → wordings of its instruction.

    Raises:
        UnknownSkillError: none; it names the nearest ones.
    """
    words = {_plain(w): name for name, wordings in skills.items() for w in (name, *wordings)}
    found = words.get(_plain(asked))
    if found is not None:
        return found
    near = list(dict.fromkeys(words[w] for w in get_close_matches(_plain(asked), list(words), 3, 0.6)))
    raise UnknownSkillError(
        "this is not among the robot's skills",
        expected=", ".join(near or skills),
        got=asked[:80],
        next_step=f"did you mean {near[0]!r}?" if near else "call list_skills",
    )


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("-", " ").strip(" .!").split())
