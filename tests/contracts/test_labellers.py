"""One suite over every labeller: whatever divides episodes keeps these."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.movements import PICK, as_targets, movement

from vla_data.label.labellers import (
    LABELLERS,
    Closing,
    CommandConfig,
    LabelConfig,
    SubstepLabeller,
    make_labeller,
)
from vla_data.types import Episode

HALVES = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    middle = asked["steps"] // 2
    steps = [{"start": 0, "stop": middle, "text": "first half"}] if middle else []
    steps.append({"start": middle, "stop": asked["steps"], "text": asked["instruction"] or "the rest"})
    print(json.dumps({"substeps": steps}), flush=True)
"""


def learned(directory: Path) -> LabelConfig:
    from vla_data.label.learned import fit

    path = directory / "model.json"
    fit([movement(noise=0.1, seed=i) for i in range(8)]).save(path)
    return LabelConfig("learned", model=path)


# A labeller joins the suite by one line here; a test below holds this table against the registry.
CONFIGS: dict[str, Callable[[Path], LabelConfig]] = {
    "kinematic": lambda _: LabelConfig(),
    "gripper": lambda _: LabelConfig("gripper"),
    "equal": lambda _: LabelConfig("equal", segments=3),
    "learned": learned,
    "command": lambda _: LabelConfig("command", command=CommandConfig((sys.executable, "-c", HALVES))),
}

EPISODES: dict[str, Episode] = {
    "pick": movement(noise=0.05, instruction="put the cup into the sink"),
    "targets": as_targets(movement(noise=0.05)),
    "one step": movement(((1, (0.02, 0.0, 0.0), -1.0),)),
    "two steps": movement(((2, (0.02, 0.0, 0.0), -1.0),)),
    "still": movement(((20, (0.0, 0.0, 0.0), 1.0),)),
}


@pytest.fixture(scope="module", params=CONFIGS)
def labeller(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SubstepLabeller]:
    made = make_labeller(CONFIGS[request.param](tmp_path_factory.mktemp("label")))
    yield made
    if isinstance(made, Closing):
        made.close()


def test_the_suite_knows_every_labeller() -> None:
    assert set(CONFIGS) == set(LABELLERS)


@pytest.mark.parametrize("name", EPISODES)
def test_the_whole_episode_is_divided_in_order(labeller: SubstepLabeller, name: str) -> None:
    episode = EPISODES[name]
    found = labeller.label(episode)
    assert isinstance(labeller, SubstepLabeller)
    assert found[0].start == 0
    assert found[-1].stop == len(episode)
    assert all(a.stop == b.start for a, b in itertools.pairwise(found))
    assert all(s.start < s.stop for s in found)
    assert all(s.text.strip() for s in found)


def test_labels_follow_from_the_episode_alone(labeller: SubstepLabeller) -> None:
    episode = EPISODES["pick"]
    before = episode.action.copy(), episode.state.copy()
    first = labeller.label(episode)
    labeller.label(EPISODES["still"])
    assert labeller.label(replace(episode, substeps=())) == first
    np.testing.assert_array_equal(episode.action, before[0])
    np.testing.assert_array_equal(episode.state, before[1])
    assert len(first) <= len(PICK) + 4
