"""Procedures as text to read, and as questions with answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vla_model.procedures.families import TRAINED, Procedure, make_procedure
from vla_model.procedures.wording import checklist, described, said, steps_of, understood
from vla_model.procedures.world import verify

NEXT = 0.4  # share of questions that ask for the next step alone
READ_STREAM, ASK_STREAM = 1, 2


def question(procedure: Procedure) -> str:
    """What is so, and what is to be done."""
    task = procedure.task[0].upper() + procedure.task[1:]
    return f"{described(procedure.world)}\nTask: {task}."


def document(procedure: Procedure) -> str:
    """Text to read: scene, task, and the checklist that does it."""
    return f"{question(procedure)}\n{checklist(procedure.actions, procedure.world)}\n"


def documents(count: int, seed: int, families: Sequence[str] = tuple(TRAINED)) -> Iterator[str]:
    """Texts of families in turn, each from a random generator of its own."""
    for i in range(count):
        rng = np.random.default_rng((seed, READ_STREAM, i))
        yield document(make_procedure(families[i % len(families)], rng))


def example(seed: int, number: int, families: Sequence[str] = tuple(TRAINED)) -> tuple[str, str]:
    """A question and its answer: the checklist, or with some steps ticked the next one alone."""
    rng = np.random.default_rng((seed, ASK_STREAM, number))
    made = make_procedure(str(rng.choice(families)), rng)
    if rng.random() >= NEXT:
        return question(made), checklist(made.actions, made.world)
    done = int(rng.integers(0, len(made.actions)))
    said_so_far = checklist(made.actions, made.world, len(made.actions)).splitlines()[:done]
    asked = "\n".join([question(made), "Done:", *(said_so_far or ["nothing"]), "What is next?"])
    return asked, said(made.actions[done], made.world)


def judge(procedure: Procedure, answer: str) -> str:
    """Why an answer to `question` does not do the task; "" where it does."""
    steps = steps_of(answer)
    if not steps:
        return "there is no checklist"
    actions = []
    for number, step in enumerate(steps, 1):
        action = understood(step)
        if action is None:
            return f"step {number} says nothing to be done"
        actions.append(action)
    return verify(procedure.world, actions, procedure.goals)
