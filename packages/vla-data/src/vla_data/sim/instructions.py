"""What is said to a policy: for each task a canonical wording, paraphrases, and wordings kept for evaluation.

Templates and things of a task form a grid. Each cell of it is one sentence; one cell in three is kept for
evaluation, chosen so that every template and every thing still occurs in training: an evaluation wording
is a sentence never heard, of parts that were (compositional split, Lake and Baroni 2018,
arXiv:1711.00350).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from vla_data.registry import lookup
from vla_data.sim.wordings import METAWORLD

Split = Literal["train", "eval"]

_PLAIN = ("{}", "please {}", "the task is to {}", "use the arm to {}", "next, {}")
_PLAIN_EVAL = ("please use the arm to {}", "the next task is to {}", "next, use the arm to {}")


def instructions(sim_name: str, task: str, split: Split = "train") -> tuple[str, ...]:
    """Wordings of a task.

    Args:
        sim_name: "metaworld", "libero" or "tabletop".
        task: as the simulator's adapter names it.
        split: "train" (the first one is canonical) or "eval" (none of them is said in training).

    Raises:
        UnknownNameError: no such simulator, task or split.
    """
    select = lookup("split of instructions", {"train": 0, "eval": 1}, split)
    return lookup("simulator", _SIMS, sim_name)(task)[select]


def _metaworld(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    templates, things = lookup("Meta-World task", METAWORLD, task)
    cells = [
        (template.format(thing), (i + j) % 3 == 2)
        for i, template in enumerate(templates)
        for j, thing in enumerate(things)
    ]
    return tuple(s for s, kept in cells if not kept), tuple(s for s, kept in cells if kept)


def _libero(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from vla_data.sim.libero_names import language

    sentence = language(task)
    return tuple(f.format(sentence) for f in _PLAIN), tuple(f.format(sentence) for f in _PLAIN_EVAL)


_SIMS: dict[str, Callable[[str], tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "metaworld": _metaworld,
    "libero": _libero,
    "tabletop": lambda task: (("watch the table",), ("keep an eye on the table",)),
}
