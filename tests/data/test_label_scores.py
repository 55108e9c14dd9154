"""Segmental F1, against figures worked out by hand and against its definition written another way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.label.scores import mean_f1, overlap, segment_f1
from vla_data.types import SubStep


def steps(*edges: int, texts: str = "") -> list[SubStep]:
    return [SubStep(a, b, texts[i : i + 1]) for i, (a, b) in enumerate(itertools.pairwise(edges))]


def as_published(found: list[SubStep], truth: list[SubStep], at: float, same_text: bool) -> float:
    """Lea et al. 2017, as arrays: each found segment takes the true one of its class it overlaps most."""
    begin, end = (np.array([getattr(t, k) for t in truth], float) for k in ("start", "stop"))
    classes, hits, right, wrong = np.array([t.text for t in truth]), np.zeros(len(truth)), 0, 0
    for one in found:
        shared = np.minimum(one.stop, end) - np.maximum(one.start, begin)
        share = shared / (np.maximum(one.stop, end) - np.minimum(one.start, begin))
        share = share * ((classes == one.text) if same_text else 1)
        best = int(share.argmax())
        if share[best] >= at and not hits[best]:
            right, hits[best] = right + 1, 1
        else:
            wrong += 1
    precision, recall = right / (right + wrong), right / len(truth)
    return 0.0 if right == 0 else 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("found", "truth", "at", "expected"),
    [
        (steps(0, 10, 20), steps(0, 10, 20), 0.5, 1.0),
        (steps(0, 20), steps(0, 10, 20), 0.5, 2 / 3),  # one of two, half of it exactly
        (steps(0, 20), steps(0, 9, 20), 0.6, 0.0),
        (steps(0, 5, 10, 15, 20), steps(0, 20), 0.25, 2 / 5),  # four pieces of one: one counts
        (steps(0, 12, 20), steps(0, 10, 20), 0.5, 1.0),  # 10/12 and 8/10
        (steps(0, 12, 20), steps(0, 10, 20), 0.82, 0.5),
        (steps(0, 3, 20), steps(0, 10, 20), 0.5, 0.5),  # 3/10 is missed, 10/17 is found
        ([], steps(0, 10), 0.5, 0.0),
        ([], [], 0.5, 1.0),
    ],
)
def test_figures_by_hand(found: list[SubStep], truth: list[SubStep], at: float, expected: float) -> None:
    assert segment_f1(found, truth, at) == pytest.approx(expected)


def test_texts_count_only_when_asked() -> None:
    found, truth = steps(0, 10, 20, texts="ab"), steps(0, 10, 20, texts="ac")
    assert segment_f1(found, truth) == 1.0
    assert segment_f1(found, truth, same_text=True) == 0.5


def test_overlap_and_mean() -> None:
    assert overlap(SubStep(0, 4, ""), SubStep(2, 8, "")) == 2 / 8
    assert overlap(SubStep(0, 4, ""), SubStep(4, 8, "")) == 0
    pairs = [(steps(0, 10, 20), steps(0, 10, 20)), (steps(0, 20), steps(0, 10, 20))]
    assert mean_f1(pairs) == pytest.approx((1 + 2 / 3) / 2)
    assert mean_f1([]) == 0


division = st.lists(st.integers(1, 59), max_size=8, unique=True).map(lambda cuts: [0, *sorted(cuts), 60])


@given(division, division, st.sampled_from([0.1, 0.25, 0.5, 0.75]), st.booleans(), st.integers(0, 99))
def test_against_the_definition(
    ours: list[int], theirs: list[int], at: float, same_text: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    letters = ["".join(rng.choice(list("abc"), len(edges))) for edges in (ours, theirs)]
    found, truth = steps(*ours, texts=letters[0]), steps(*theirs, texts=letters[1])
    score = segment_f1(found, truth, at, same_text=same_text)
    assert score == pytest.approx(as_published(found, truth, at, same_text))
    assert segment_f1(truth, truth, at, same_text=same_text) == 1.0
