"""Texts of sub-steps, and checklists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.data.movements import DELTA, PICK, PICK_TEXTS, movement

from vla_data.label import LabelConfig, checklist, make_labeller
from vla_data.label.motion import motion_of
from vla_data.label.words import describe, find_things
from vla_data.types import SubStep


@pytest.mark.parametrize(
    ("instruction", "thing", "goal"),
    [
        ("put cup from counter or drying rack into sink", "the cup", "the sink"),
        ("flip pot upright which is in sink", "the pot", "the sink"),
        ("turn lever vertical to front", "the lever", ""),
        ("Put carrot on plate.", "the carrot", "the plate"),
        ("pick up the coffee mug and place it at the goal", "the coffee mug", "the goal"),
        ("open the drawer of the cabinet", "the drawer", ""),
        ("dunk the basketball in the basket", "the basketball", "the basket"),
        ("unlock the safe door", "the safe door", ""),
        ("reach for the target", "the target", ""),
        ("", "", ""),
        ("do it", "", ""),
        ("Schließe die Tür", "", ""),
    ],
)
def test_what_an_instruction_names(instruction: str, thing: str, goal: str) -> None:
    found = find_things(instruction)
    assert (found.thing, found.goal) == (thing, goal)


def test_a_pick_is_told_as_one() -> None:
    episode = movement(instruction="put the cup into the sink")
    told = make_labeller(LabelConfig()).label(episode)
    assert tuple(s.text for s in told) == PICK_TEXTS
    assert [(s.start, s.stop) for s in told] == [(s.start, s.stop) for s in episode.substeps]


def test_without_an_instruction_no_thing_is_made_up() -> None:
    texts = [s.text for s in make_labeller(LabelConfig()).label(movement())]
    assert texts == [
        "move forward",
        "lower the hand",
        "close the gripper",
        "lift what is held",
        "carry what is held left",
        "open the gripper",
    ]


@pytest.mark.parametrize(
    ("frame", "facing", "words"),
    [
        ("base", None, "move forward"),
        ("world", None, "move along +x"),
        ("world", "+y", "move right"),
        ("world", "-x", "move back"),
        ("world", "-y", "move left"),
        ("gripper", None, "move"),
    ],
)
def test_directions_are_those_of_the_frame(frame: str, facing: str | None, words: str) -> None:
    dims = tuple(replace(d, frame=frame) if d.quantity == "position" else d for d in DELTA.dims)
    episode = movement(PICK[:1], spec=replace(DELTA, dims=dims))
    assert describe(motion_of(episode), [0, 12], facing=facing) == (SubStep(0, 12, words),)  # type: ignore[arg-type]


def test_equal_neighbours_become_one() -> None:
    motion = motion_of(movement(PICK[:2]))
    assert [s.text for s in describe(motion, [0, 5, 12, 22])] == ["move forward"] * 2 + ["lower the hand"]
    assert describe(motion, [0, 5, 12, 22], join=True) == (
        SubStep(0, 12, "move forward"),
        SubStep(12, 22, "lower the hand"),
    )


def test_a_checklist() -> None:
    episode = replace(
        movement(PICK[:2], instruction="put the *red* cup\ninto the sink"), metadata={"success": False}
    )
    assert checklist(replace(episode, id="a")) == (
        "## put the \\*red\\* cup into the sink\n\n`a`, 22 steps\n\n"
        "- [x] 0.00–0.60 s: part 0\n- [x] 0.60–1.10 s: part 1\n- [ ] task done\n"
    )
    nothing = replace(episode, instruction="", substeps=(), metadata={}, time=np.arange(22) / 20)
    assert checklist(nothing).endswith("- [ ] no sub-step known\n")
