"""Training to checkpoint to policy, on episodes whose actions can be read off pixels and words."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import read_json, write_json
from vla_data.fit import FitConfig
from vla_data.types import Observation, ObservationWindow
from vla_model import finetune, load_policy
from vla_model.finetuning import FinetuneConfig
from vla_model.policies.compact import CompactConfig

CONFIG = FinetuneConfig(
    policy=CompactConfig(head="continuous", channels=8, hidden_dim=64),
    fit=FitConfig(steps=150, batch_size=32, learning_rate=3e-3, warmup_steps=5, threads=1),
    action_horizon=6,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def checkpoint(toy_source, trained: Path) -> Path:
    if not (trained / "checkpoint").exists():
        finetune(toy_source, CONFIG, None, trained, lambda _: None)
    return trained / "checkpoint"


def look(source, index: int, instruction: str) -> ObservationWindow:
    episode = source[index]
    images = {name: frames[3] for name, frames in episode.images.items()}
    return ObservationWindow(
        (Observation(0.0, images, episode.state[3], instruction),), np.zeros((0, 4), np.float32)
    )


def test_the_policy_does_what_it_is_told(checkpoint, toy_source):
    policy = load_policy(checkpoint)
    left, right = policy.infer([look(toy_source, 0, "go left"), look(toy_source, 0, "go right")])
    assert left.actions.shape == (6, 4)
    assert (left.actions[:, 0] < -0.2).all()
    assert (right.actions[:, 0] > 0.2).all()


def test_answers_do_not_depend_on_what_else_is_in_the_batch(checkpoint, toy_source):
    policy = load_policy(checkpoint)
    windows = [look(toy_source, i, "go left") for i in range(4)]
    alone = [policy.infer([w])[0].actions for w in windows]
    together = [c.actions for c in policy.infer(windows)]
    np.testing.assert_allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "norm_stats.json"])
def test_a_flipped_byte_anywhere_is_refused(checkpoint, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_policy(copy)


def test_an_unknown_layout_and_a_wrong_directory_are_named(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="not a policy checkpoint") as error:
        load_policy(checkpoint.parent)
    assert str(checkpoint) in str(error.value)
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    record = read_json(copy / "config.json")
    record["flavour"] = 1
    write_json(copy / "config.json", record)
    manifest = read_json(copy / "manifest.json")
    del manifest["outputs"]["config.json"]
    write_json(copy / "manifest.json", manifest)
    with pytest.raises(CheckpointError, match="another layout"):
        load_policy(copy)


def test_a_codes_head_without_a_codec_and_an_unknown_camera_are_refused(toy_source, tmp_path):
    with pytest.raises(ConfigError, match="needs a codec"):
        finetune(toy_source, replace(CONFIG, policy=CompactConfig(head="codes")), None, tmp_path)
    with pytest.raises(ConfigError, match="no such camera"):
        finetune(toy_source, replace(CONFIG, cameras=("top",)), None, tmp_path)


def test_same_seed_same_weights(toy_source, tmp_path):
    short = replace(CONFIG, fit=replace(CONFIG.fit, steps=8))
    for name in ("a", "b"):
        finetune(toy_source, short, None, tmp_path / name)
    weights = [(tmp_path / n / "checkpoint" / "model.safetensors").read_bytes() for n in "ab"]
    assert weights[0] == weights[1]
