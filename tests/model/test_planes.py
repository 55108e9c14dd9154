"""Depth and velocity beside colours: trained on what is seen at work."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_data.errors import ConfigError, DataError
from vla_data.fit import FitConfig
from vla_data.normalize import Normalizer
from vla_data.protocols import EpisodeSource
from vla_data.types import ArrayImages, Episode, Observation, ObservationWindow, RobotSpec
from vla_model import finetune
from vla_model.finetuning import FinetuneConfig
from vla_model.midtraining import MidtrainConfig
from vla_model.policies.hf import HfConfig
from vla_model.policies.learned import LearnedPolicy, load_learned
from vla_model.policies.planes import depth_of, flow_of
from vla_model.policies.vla import VlaConfig
from vla_model.prompt.episodes import PromptParts, prompt_for
from vla_model.samples import SampleTable

BOTH = PromptParts(checklist=False, depth=True, velocity=True)
SMALL = VlaConfig(
    depth=1, width=32, heads=2, head="continuous", video_tokens=2, channels=16, parts=BOTH, text_tokens=192
)
CONFIG = FinetuneConfig(policy=SMALL, fit=FitConfig(steps=3, batch_size=4), action_horizon=4)


@dataclass(frozen=True)
class DeepSource:
    """Episodes of another source with depth, and pictures in which everything glides to the right."""

    source: EpisodeSource
    name: str = "deep"

    @property
    def robot(self) -> RobotSpec:
        return self.source.robot

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Episode:
        episode = self.source[index]
        rng = np.random.default_rng(index)
        coarse = np.kron(rng.integers(0, 256, (8, 16)), np.ones((4, 4))).astype(np.uint8)
        frames = np.stack([np.roll(coarse, t, axis=1)[:, :32] for t in range(len(episode))])
        images = {n: ArrayImages(np.repeat(frames[..., None], 3, axis=-1)) for n in episode.images}
        far = rng.uniform(0.2, 3.0, (len(episode), 32, 32)).astype(np.float32)
        return replace(episode, images=images, depth=dict.fromkeys(images, far))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("deep")


@pytest.fixture
def policy(toy_source, trained) -> LearnedPolicy:
    if not (trained / "checkpoint").exists():
        finetune(DeepSource(toy_source), CONFIG, None, trained)
    return load_learned(trained / "checkpoint")


def window(episode: Episode, step: int) -> ObservationWindow:
    seen = [episode.observation(max(0, s)) for s in (step - 1, step)]
    return ObservationWindow(tuple(seen), np.zeros((1, episode.action.shape[1]), np.float32))


def test_a_policy_sees_at_work_what_it_was_trained_on(toy_source, policy):
    source = DeepSource(toy_source)
    spec = policy.input_spec
    assert (spec.history, spec.cameras[0].depth) == (2, True)
    table = SampleTable.of(source, spec.cameras, 4, velocity=True)
    rows = np.array([0, 7, 20, 33])
    told = policy._batch([window(source[row // 20], row % 20) for row in rows.tolist()])
    assert table.depth is not None
    assert table.flow is not None
    np.testing.assert_array_equal(told["images"], table.seen(rows, 2))
    np.testing.assert_array_equal(told["depth"], table.depth[rows])
    np.testing.assert_array_equal(told["flow_known"], [False, True, False, True])
    np.testing.assert_array_equal(told["flow"], table.flow[rows])
    assert np.abs(told["flow"][1].float()).max() > 0.5
    assert not table.flow[[0, 20]].any()
    np.testing.assert_allclose(
        told["state"], Normalizer(policy.stats.state).normalize(table.state[rows]), rtol=1e-6
    )
    chunks = policy.infer([window(source[0], 5), spec.fake_window()])
    assert all(np.isfinite(c.actions).all() for c in chunks)


def test_each_changes_the_answer_and_an_unknown_velocity_does_not(toy_source, policy):
    source = DeepSource(toy_source)
    told = policy._batch([window(source[0], 6), window(source[1], 9)])
    with torch.inference_mode():
        answer = policy.network(told)
        for name in ("depth", "flow"):
            other = told | {name: torch.rand(told[name].shape).half()}
            assert not torch.allclose(policy.network(other), answer, atol=1e-6), name
        blind = told | {"flow_known": torch.zeros(2, dtype=torch.bool)}
        still = blind | {"flow": torch.rand(told["flow"].shape).half()}
        assert torch.equal(policy.network(blind), policy.network(still))


def test_flow_is_in_picture_widths_a_second():
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (16, 32)), np.ones((4, 4))).astype(np.uint8)
    frames = np.stack([wide[:, 4:68], wide[:, 2:66]])  # what is seen goes 2 pixels of 64 to the right
    images = np.repeat(frames[None, :, None, None], 3, axis=3)
    flow = flow_of(images, np.array([True]), 10.0)
    assert flow.shape == (1, 1, 64, 64, 2)
    inner = flow[0, 0, 8:-8, 8:-8].astype(np.float64)
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), [10 * 2 / 64, 0], atol=0.02)
    assert not flow_of(images, np.array([False]), 10.0).any()


def test_depth_that_means_nothing_is_unknown():
    metres = np.array([[1.5, 0.0, -1.0], [np.nan, np.inf, 1e4]], np.float32)
    np.testing.assert_array_equal(depth_of(metres, 2, 3), [[1.5, 0, 0], [0, 0, 0]])


def test_prompts_say_what_is_seen_and_not_the_moment_before(policy):
    video = prompt_for(policy.input_spec, "go", BOTH).videos[0]
    assert (video.frames, video.channels) == (1, ("rgb", "depth", "velocity"))


def test_data_without_depth_and_policies_that_cannot_see_it_are_named(toy_source, tmp_path):
    with pytest.raises(DataError, match="lacks the depth") as missing:
        finetune(toy_source, CONFIG, None, tmp_path)
    assert "depth=true" in str(missing.value)
    with pytest.raises(ConfigError, match="colours alone"):
        VlaConfig(head="continuous", looks=("front",), parts=BOTH)
    with pytest.raises(ConfigError, match="velocity True"):
        HfConfig(parts=BOTH)
    with pytest.raises(ConfigError, match="depth True"):
        MidtrainConfig(policy=SMALL)


def test_an_observation_without_the_depth_is_named(toy_source, policy):
    source = DeepSource(toy_source)
    whole = window(source[0], 3)
    flat = [replace(o, depth={}) for o in whole.observations]
    assert isinstance(flat[0], Observation)
    with pytest.raises(DataError, match="depth"):
        policy.infer([replace(whole, observations=tuple(flat))])
