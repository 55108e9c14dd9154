"""Where a policy looks: what labels say of views, what is trained, and what it asks for."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vla_data.camera_control import CameraControl, LookingPolicy
from vla_data.errors import DataError
from vla_data.fit import FitConfig
from vla_data.objects import NAMES, ObjectName, ObjectTruth, names_text, truth_series
from vla_data.types import (
    ActionDim,
    ActionSpec,
    ArrayImages,
    CameraInput,
    Episode,
    InputSpec,
    Observation,
    ObservationWindow,
    RobotSpec,
    StateDim,
)
from vla_model import finetune, load_policy
from vla_model.finetuning import FinetuneConfig
from vla_model.policies.compact import CompactConfig
from vla_model.policies.vla import VlaConfig
from vla_model.prompt.episodes import PromptParts, prompt_for
from vla_model.views import SEEN, drawn_views, target_pixels, wanted_views

SPEC = ActionSpec(
    tuple(ActionDim(n, "position", "delta", "world", "m", 0.01) for n in ("x", "y", "z", "w")),
    control_hz=80.0,
)
ROBOT = RobotSpec("test-arm", SPEC, (StateDim("x", "m"), StateDim("y", "m"), StateDim("z", "m")))
PLACES = ("here", "there")
OBJECTS = (ObjectName("hand", "gripper"), ObjectName("obj", "puck"), ObjectName("goal", "box"))


@dataclass(frozen=True)
class TwoViews:
    """Episodes whose thing is a square in one of two views; its brightness says how far to go."""

    episodes: int = 8
    length: int = 12
    name: str = "two-views"
    robot = ROBOT

    def __len__(self) -> int:
        return self.episodes

    def __getitem__(self, index: int) -> Episode:
        rng = np.random.default_rng(index)
        place, level = int(rng.integers(2)), int(rng.integers(80, 250))
        frames = rng.integers(0, 20, (2, self.length, 32, 32, 3)).astype(np.uint8)
        frames[place, :, 8:24, 8:24] = level
        masks = np.zeros((2, 32, 32), np.uint8)
        masks[place, 8:24, 8:24] = 2
        masks[1 - place, 0, :2] = 2  # two pixels: not to be seen
        truth = ObjectTruth(
            np.zeros((3, 3), np.float32),
            np.zeros((3, 3), np.float32),
            dict(zip(PLACES, masks, strict=True)),
        )
        action = np.zeros((self.length, 4), np.float32)
        action[:, 1] = level / 255
        return Episode(
            id=str(index),
            robot=self.robot,
            action=action,
            state=rng.normal(size=(self.length, 3)).astype(np.float32),
            time=np.arange(self.length) / ROBOT.action.control_hz,
            images={n: ArrayImages(f) for n, f in zip(PLACES, frames, strict=True)},
            instruction="push the puck",
            series=truth_series([truth] * self.length),
            metadata={NAMES: names_text(OBJECTS)},
        )


def test_what_an_instruction_names_is_the_target() -> None:
    episode = TwoViews()[0]
    shown = target_pixels(episode, PLACES)
    assert shown.shape == (12, 2)
    assert sorted(shown[0]) == [2, 256]
    other = replace(episode, instruction="open the lid")  # names nothing: all but the hand counts
    assert (target_pixels(other, PLACES) == shown).all()


def test_an_episode_without_labels_says_how_to_make_them(toy_source) -> None:
    with pytest.raises(DataError, match="generate"):
        target_pixels(toy_source[0], ("front",))
    with pytest.raises(DataError, match="elsewhere"):
        target_pixels(TwoViews()[0], ("here", "elsewhere"))


@given(arrays(np.int64, (20, 3), elements=st.integers(0, 20)), st.integers(0, 2**31))
def test_a_view_is_left_only_for_one_that_shows_more(pixels: np.ndarray, seed: int) -> None:
    views = drawn_views(pixels, np.random.default_rng(seed))
    rows = np.arange(20)
    assert (views.wanted == wanted_views(pixels, views.now)).all()
    assert (views.sees == (views.wanted == views.now)).all()
    left = views.wanted != views.now
    assert (pixels[rows, views.now][left] < SEEN).all()
    assert (pixels[rows, views.wanted][left] >= SEEN).all()
    assert (wanted_views(pixels, views.wanted) == views.wanted).all()  # one look is enough


def test_both_sides_are_taught() -> None:
    pixels = np.tile(np.array([[30, 0]]), (2000, 1))
    views = drawn_views(pixels, np.random.default_rng(0))
    assert 0.2 < (views.now == 1).mean() < 0.3
    assert (views.wanted == 0).all()


def test_a_policy_learns_to_ask_for_the_view_that_shows_its_target(tmp_path: Path) -> None:
    parts = PromptParts(checklist=False, robot=False, state=False)
    network = VlaConfig(
        depth=2, width=32, heads=2, head="continuous", video_tokens=2, channels=16, parts=parts, looks=PLACES,
        vocab_size=400,
    )  # fmt: skip
    fit = FitConfig(steps=250, batch_size=16, learning_rate=3e-3, warmup_steps=5)
    config = FinetuneConfig(network, fit, action_horizon=4, execute=4)
    summary, _ = finetune(TwoViews(episodes=80, length=4), config, None, tmp_path / "run")
    assert summary["look_accuracy"] > 0.9
    policy = load_policy(tmp_path / "run" / "checkpoint")
    assert isinstance(policy, LookingPolicy)
    assert policy.input_spec.places == PLACES
    asked = right = 0
    for index in range(100, 130):
        episode = TwoViews()[index]
        shows = int(target_pixels(episode, PLACES)[0].argmax())
        for now in range(2):
            (control,) = policy.look([window(episode, now)])
            asked += control is not None
            right += control == (None if now == shows else CameraControl("choose", PLACES[shows]))
    assert right >= 54
    assert 20 <= asked <= 40
    assert policy.look([]) == []


def window(episode: Episode, place: int) -> ObservationWindow:
    """The first moment of an episode, through one of the views."""
    images = {"roving": episode.images[PLACES[place]][0]}
    observation = Observation(
        0.0, images, episode.state[0], episode.instruction, places={"roving": PLACES[place]}
    )
    return ObservationWindow((observation,), np.zeros((0, 4), np.float32))


def test_a_prompt_tells_of_the_places_and_asks_for_a_view_first() -> None:
    spec = InputSpec(ROBOT, (CameraInput("roving", 32, 32),), 4, places=PLACES)
    prompt = prompt_for(spec, "push the puck", PromptParts())
    assert [c.name for c in prompt.cameras] == ["roving", *PLACES]
    assert prompt.answer.said == ("camera", "actions")


def test_other_policies_do_not_look_around(toy_source, tmp_path: Path) -> None:
    fit = FitConfig(steps=2, batch_size=4, warmup_steps=1)
    finetune(
        toy_source, FinetuneConfig(fit=fit, policy=CompactConfig(head="continuous")), None, tmp_path / "run"
    )
    assert not isinstance(load_policy(tmp_path / "run" / "checkpoint"), LookingPolicy)
