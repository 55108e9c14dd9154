"""What is said to a policy."""

from __future__ import annotations

from collections import Counter

import pytest

from vla_data.errors import UnknownNameError
from vla_data.sim import instructions
from vla_data.sim.wordings import METAWORLD

TASKS = tuple(METAWORLD)


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_wordings_are_never_said_in_training(task: str) -> None:
    train, unseen = instructions("metaworld", task, "train"), instructions("metaworld", task, "eval")
    assert len(set(train)) == len(train) >= 5
    assert len(set(unseen)) == len(unseen) >= 3
    said_somewhere = {w for other in TASKS for w in instructions("metaworld", other, "train")}
    assert not said_somewhere & set(unseen)


def test_no_wording_is_shared_by_two_tasks() -> None:
    counts = Counter(
        w
        for t in TASKS
        for s in ("train", "eval")
        for w in instructions("metaworld", t, s)  # type: ignore[arg-type]
    )
    assert [w for w, n in counts.items() if n > 1] == []


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_wordings_are_made_of_words_heard_in_training(task: str) -> None:
    heard = {word for w in instructions("metaworld", task, "train") for word in w.split()}
    for wording in instructions("metaworld", task, "eval"):
        assert set(wording.split()) <= heard


def test_the_canonical_wording_comes_first() -> None:
    assert instructions("metaworld", "drawer-open", "train")[0] == "open the drawer"


@pytest.mark.parametrize("task", TASKS)
def test_wordings_are_plain_sentences(task: str) -> None:
    for wording in instructions("metaworld", task, "train") + instructions("metaworld", task, "eval"):
        assert wording == wording.strip().lower()
        assert "{" not in wording
        assert "  " not in wording
        assert 2 <= len(wording.split()) <= 16


@pytest.mark.usefixtures("unchecked_shapes")
def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError):
        instructions("metaworld", "drawer-opening")
    with pytest.raises(UnknownNameError):
        instructions("mujoco", "reach")
    with pytest.raises(UnknownNameError):
        instructions("metaworld", "reach", "test")  # type: ignore[arg-type]
