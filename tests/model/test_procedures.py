"""Procedures: every checklist that is made passes its verifier, and what is wrong does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_data.errors import UnknownNameError
from vla_model.procedures.families import HELD_OUT, TRAINED, make_procedure
from vla_model.procedures.planner import plan
from vla_model.procedures.wording import checklist, described, listed, said, steps_of, understood
from vla_model.procedures.world import HAND, Action, Fact, NotAllowedError, World, apply, verify

FAMILIES = (*TRAINED, *HELD_OUT)
KITCHEN = World(
    surfaces=frozenset({"table", "counter"}),
    containers=frozenset({"drawer", "safe"}),
    devices=frozenset({"lamp"}),
    at={
        "mug": "table",
        "book": "table",
        "key": "counter",
        "ring": "safe",
        "rag": "counter",
        "jug": "counter",
    },
    below={"book": "mug"},
    locked={"safe": "key"},
    dirty=frozenset({"table"}),
    tools={"wipe": "rag", "pour": "jug", "cut": "knife"},
)


@given(st.sampled_from(FAMILIES), st.integers(0, 10_000))
@settings(max_examples=150)
def test_every_checklist_passes_and_is_understood(family: str, seed: int):
    made = make_procedure(family, np.random.default_rng(seed))
    text = checklist(made.actions, made.world)
    actions = [understood(step) for step in steps_of(text)]
    assert actions == list(made.actions)
    assert verify(made.world, made.actions, made.goals) == ""
    assert len(made.actions) >= 1


@given(st.sampled_from(FAMILIES), st.integers(0, 10_000))
@settings(max_examples=100)
def test_a_checklist_that_ends_early_fails(family: str, seed: int):
    made = make_procedure(family, np.random.default_rng(seed))
    short = made.actions[:-1]
    assert verify(made.world, short, made.goals)


@given(st.sampled_from(FAMILIES), st.integers(0, 10_000))
@settings(max_examples=100)
def test_what_a_task_needs_is_described(family: str, seed: int):
    made = make_procedure(family, np.random.default_rng(seed))
    text = described(made.world)
    for action in made.actions:
        for thing in action.things:
            assert thing in text, (thing, text)


def test_families_are_apart():
    assert not set(TRAINED) & set(HELD_OUT)
    with pytest.raises(UnknownNameError, match="wipe"):
        make_procedure("wip", np.random.default_rng(0))
    first, again = (make_procedure("wipe", np.random.default_rng(5)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (["pick up the mug from the table"], "something stands on the mug"),
        (["pick up the ring from the safe"], "the safe is closed"),
        (["open the safe"], "the safe is locked"),
        (["pick up the book from the counter"], "the book is not there"),
        (["pick up the book from the table", "open the drawer"], "the hand is full"),
        (["pick up the book from the table", "put the book in the drawer"], "the drawer is closed"),
        (["pick up the book from the table", "put the book on the roof"], "there is no roof"),
        (["put the book on the counter"], "the book is not in the hand"),
        (["close the drawer"], "the drawer is not open"),
        (["unlock the safe with the key"], "the key is not in the hand"),
        (["pick up the key from the counter", "unlock the drawer with the key"], "does not unlock"),
        (["pick up the rag from the counter", "wipe the table with the rag"], "something is on the table"),
        (["pick up the jug from the counter", "pour water from the jug into the mug"], "stands on the mug"),
        (["turn off the lamp"], "cannot be switched"),
        (["cut the book with the knife"], "the knife is not in the hand"),
    ],
)
def test_what_is_not_allowed(steps: list[str], problem: str):
    actions = [understood(s) for s in steps]
    assert None not in actions
    found = verify(KITCHEN, [a for a in actions if a is not None], ())
    assert problem in found
    assert found.startswith(f"step {len(steps)}")


def test_a_full_hand_at_the_end_fails():
    assert "still in the hand" in verify(KITCHEN, [Action("pick", ("book", "table"))], ())
    with pytest.raises(NotAllowedError, match="nobody can do that"):
        apply(KITCHEN, Action("fly", ("mug",)))


def test_a_plan_undoes_what_is_in_the_way():
    """By hand: the ring is locked away, and a book stands on the mug."""
    goals = (Fact("at", ("ring", "table")), Fact("closed", ("safe",)), Fact("full", ("mug",)))
    steps = [said(a, KITCHEN) for a in plan(KITCHEN, goals)]
    assert steps == [
        "pick up the key from the counter",
        "unlock the safe with the key",
        "put the key on the counter",
        "open the safe",
        "pick up the ring from the safe",
        "put the ring on the table",
        "close the safe",
        "pick up the book from the table",
        "put the book on the counter",
        "pick up the jug from the counter",
        "pour water from the jug into the mug",
        "put the jug on the counter",
    ]
    assert plan(KITCHEN, (Fact("closed", ("drawer",)),)) == []


def test_words():
    assert listed(["mug"]) == "the mug"
    assert listed(["mug", "jug", "rag"]) == "the mug, the jug and the rag"
    assert understood("Open the drawer.") == Action("open", ("drawer",))
    assert understood("think about it") is None
    text = checklist([Action("open", ("drawer",)), Action("close", ("drawer",))], KITCHEN, done=1)
    assert text == "- [x] open the drawer\n- [ ] close the drawer"
    assert steps_of("To do:\n" + text) == ["open the drawer", "close the drawer"]
    held = replace(KITCHEN, at={**KITCHEN.at, "book": HAND}, below={})
    assert held.held == "book"
    assert "The table is dirty." in described(KITCHEN)
    assert "The safe is locked and holds the ring." in described(KITCHEN)
