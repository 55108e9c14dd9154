"""Outside labellers: what they are told, and what happens when they misbehave."""

from __future__ import annotations

import base64
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.data.movements import movement

from vla_data.errors import ConfigError
from vla_data.images import decode
from vla_data.label.command import CommandLabeller, ProviderError, question
from vla_data.label.labellers import CommandConfig
from vla_data.types import ArrayImages, SubStep

EPISODE = movement(instruction="put the cup into the sink")
ANSWER = (
    '{"substeps": [{"start": 0, "stop": 9, "text": "reach"}, {"start": 12, "stop": 62, "text": " put "}]}'
)


def provider(body: str, frames: int = 0, timeout: float = 20.0) -> CommandLabeller:
    """A program that runs `body` for each line it reads, as `asked`."""
    program = f"import json, sys, time\nfor line in sys.stdin:\n    asked = json.loads(line)\n    {body}\n"
    return CommandLabeller(CommandConfig((sys.executable, "-c", program), frames, timeout))


def test_a_good_answer_is_taken_and_the_program_kept() -> None:
    labeller = provider(f"print({ANSWER!r}, flush=True)")
    expected = (SubStep(0, 9, "reach"), SubStep(12, 62, "put"))
    assert labeller.label(EPISODE) == expected
    first = labeller._process
    assert labeller.label(EPISODE) == expected
    assert labeller._process is first
    labeller.close()
    assert labeller._process is None
    assert first is not None
    assert first.returncode is not None


def test_it_is_told_the_series_and_shown_frames() -> None:
    rng = np.random.default_rng(0)
    frames = ArrayImages(rng.integers(0, 256, (len(EPISODE), 24, 32, 3), np.uint8))
    asked = question(replace(EPISODE, images={"front": frames}), frames=3)
    assert asked["instruction"] == "put the cup into the sink"
    assert asked["action_dims"] == ["x", "y", "z", "gripper"]
    assert np.allclose(asked["action"], EPISODE.action)
    assert [p["step"] for p in asked["images"]["front"]] == [0, 30, 61]
    shown = decode(base64.b64decode(asked["images"]["front"][1]["jpeg"]))
    assert np.abs(shown.astype(int) - frames[30]).mean() < 40
    assert question(replace(EPISODE, images={"front": frames}))["images"] == {}


def test_questions_longer_than_a_pipe_get_through() -> None:
    """The program writes before it has read all, which would block two sides that take turns."""
    rng = np.random.default_rng(0)
    frames = ArrayImages(rng.integers(0, 256, (len(EPISODE), 256, 256, 3), np.uint8))
    episode = replace(EPISODE, images={"front": frames})
    labeller = provider(f"assert len(line) > 500_000; print({ANSWER!r}, flush=True)", frames=12)
    assert labeller.needs_images
    assert len(labeller.label(episode)) == 2
    labeller.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('no JSON', flush=True)", "something else than JSON"),
        ("print('{}', flush=True)", "cannot be"),
        ("print('[]', flush=True)", "cannot be"),
        ("print(ANSWER.replace('9', '20'), flush=True)", "cannot be"),  # overlaps
        ("print(ANSWER.replace('62', '63'), flush=True)", "cannot be"),  # past the end
        ("print(ANSWER.replace('0,', '-1,'), flush=True)", "cannot be"),
        ("print(ANSWER.replace('0,', '0.0,'), flush=True)", "cannot be"),
        ("print(ANSWER.replace('reach', ' '), flush=True)", "cannot be"),
        ("print(json.dumps({'error': 'out of credit'}), flush=True)", "out of credit"),
        ("sys.exit(3)", "exit code 3"),
        ("print('x' * 3_000_000, end='', flush=True); time.sleep(30)", "without an end of line"),
    ],
)
def test_what_cannot_be_used_is_named(body: str, words: str) -> None:
    labeller = provider(body.replace("ANSWER", repr(ANSWER)))
    with pytest.raises(ProviderError, match=words) as caught:
        labeller.label(EPISODE)
    assert EPISODE.id in str(caught.value.where)
    assert labeller._process is None


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    labeller = provider("time.sleep(60)", timeout=0.4)
    with pytest.raises(ProviderError, match="too long"):
        labeller.label(EPISODE)
    assert labeller._process is None


def test_no_program_is_an_error_before_anything_runs() -> None:
    with pytest.raises(ConfigError):
        CommandLabeller(CommandConfig())
    missing = CommandLabeller(CommandConfig(("/no/such/program",)))
    with pytest.raises(ProviderError, match="cannot be started"):
        missing.label(EPISODE)


def test_it_travels_to_a_worker_without_its_process() -> None:
    labeller = provider(f"print({ANSWER!r}, flush=True)")
    labeller.label(EPISODE)
    other = pickle.loads(pickle.dumps(labeller))
    assert other._process is None
    assert other.label(EPISODE) == labeller.label(EPISODE)
    labeller.close()
    other.close()
