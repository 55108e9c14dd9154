"""Training on a mixture of robots that differ, and going on from its weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import FitConfig
from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.mixture import DatasetShare, MixtureConfig, WindowConfig
from vla_data.report import Code
from vla_data.types import (
    ActionDim,
    ActionSpec,
    ArrayImages,
    Camera,
    Episode,
    RobotSpec,
    StateDim,
    SubStep,
)
from vla_model import finetune, load_policy
from vla_model.finetuning import FinetuneConfig
from vla_model.midtraining import Changes, MidtrainConfig, Switches, midtrain
from vla_model.policies.compact import CompactConfig
from vla_model.policies.heads import ContinuousHead, FlowHead
from vla_model.policies.learned import LearnedPolicy
from vla_model.policies.texts import PromptTexts
from vla_model.policies.vla import VlaConfig, VlaNetwork
from vla_model.prompt.episodes import PromptParts
from vla_model.start import load_start

SMALL = VlaConfig(
    depth=2, width=32, heads=2, head="continuous", video_tokens=2, channels=16, text_tokens=256,
    vocab_size=500, parts=PromptParts(),
)  # fmt: skip


def robot(name: str, dims: int, states: int) -> RobotSpec:
    axes = tuple(ActionDim(f"a{i}", "position", "delta", "world", "m", 0.01) for i in range(dims))
    return RobotSpec(name, ActionSpec(axes, control_hz=10.0), tuple(StateDim(f"s{i}") for i in range(states)))


def episode(arm: RobotSpec, index: int, length: int = 10) -> Episode:
    """The brightness of the picture is the first action."""
    rng = np.random.default_rng(index)
    level = int(rng.integers(10, 240))
    frames = np.full((length, 32, 32, 3), level, np.uint8)
    action = np.zeros((length, arm.action.dim), np.float32)
    action[:] = rng.normal(0, 0.02, action.shape)
    action[:, 0] = level / 127.5 - 1
    return Episode(
        id=str(index),
        robot=arm,
        action=action,
        state=rng.normal(size=(length, len(arm.state))).astype(np.float32),
        time=np.arange(length) / 10.0,
        images={"front": ArrayImages(frames)},
        instruction=f"go on with the {arm.name}",
        substeps=(SubStep(0, 5, "begin"), SubStep(5, length, "end")),
    )


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> MixtureConfig:
    folder = tmp_path_factory.mktemp("mix")
    arms = {"three": robot("three", 3, 2), "two": robot("two", 2, 4)}
    for name, arm in arms.items():
        directory, cameras = folder / name / "1.0.0", {"front": Camera("front", 32, 32)}
        with RldsWriter(directory, name, arm, cameras) as writer:
            for i in range(6):
                writer.write(episode(arm, i))
        finish_dataset(directory)
    shares = tuple(DatasetShare(str(folder / n / "1.0.0"), cameras={"primary": "front"}) for n in arms)
    window = WindowConfig(action_horizon=4, image_size=(32, 32))
    return MixtureConfig(shares, window, embedding="pad", lanes=2, pool=2)


@pytest.fixture(scope="module")
def trained(mix: MixtureConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("run")
    switches = Switches(camera=False, colours=False, noise=False)
    fit = FitConfig(steps=200, batch_size=16, learning_rate=3e-3, warmup_steps=5, checkpoint_every=50)
    summary, sections = midtrain(mix, MidtrainConfig(SMALL, switches, fit), out)
    assert sections
    return summary, out


def test_a_policy_learns_from_robots_that_differ(trained: tuple) -> None:
    summary, _ = trained
    assert summary["data_sets"] == 2
    assert summary["loss"] < 0.6  # the first action from the picture; of noise alone it is 0.8


def test_every_robot_stands_in_its_own_prompt(mix: MixtureConfig, tmp_path: Path) -> None:
    config = MidtrainConfig(SMALL, Switches(), FitConfig(steps=1, batch_size=2, warmup_steps=0))
    _, (section,) = midtrain(mix, config, tmp_path)
    told = [block.text for block in section.blocks if isinstance(block, Code)]
    assert "Robot: three" in told[0]
    assert "Robot: two" in told[1]


def test_sub_steps_become_a_checklist_where_they_are_told() -> None:
    one = replace(episode(robot("arm", 3, 2), 0), paraphrases=("do it",))
    changed = Changes(Switches(camera=False, colours=False, noise=False))(one, 3)
    assert changed.instruction == "go on with the arm\n- [ ] begin\n- [ ] end"
    assert changed.paraphrases == ("do it\n- [ ] begin\n- [ ] end",)
    assert Changes(Switches(False, False, False, substeps=False))(one, 3) is one


@pytest.mark.parametrize("switch", ["camera", "colours", "noise", "dropout", "mask"])
def test_each_augmentation_is_a_switch(switch: str) -> None:
    off = Switches(False, False, False, substeps=False)
    arm = robot("arm", 3, 2)
    pictures = np.random.default_rng(0).integers(0, 255, (20, 32, 32, 3)).astype(np.uint8)
    one = replace(episode(arm, 0, 20), images={"front": ArrayImages(pictures)})
    on = [Changes(replace(off, **{switch: True}))(one, seed) for seed in range(8)]
    assert all(len(e) == 20 for e in on)
    seen = any((e.images["front"][5] != one.images["front"][5]).any() for e in on)
    felt = any((e.state != one.state).any() or any(v.any() for n, v in e.series.items()) for e in on)
    assert (seen, felt) == ((True, False) if switch in ("camera", "colours", "noise") else (False, True))


@pytest.mark.parametrize("head", [ContinuousHead(8, 4, 3), FlowHead(8, 4, 3)])
def test_what_is_masked_teaches_nothing(head) -> None:
    torch.manual_seed(0)
    features, actions, mask = torch.randn(5, 8), torch.randn(5, 4, 3), torch.rand(5, 4, 3) > 0.4
    other = torch.where(mask, actions, torch.zeros(()))
    torch.nn.init.normal_(head.out.weight)
    losses = []
    for target in (actions, other):
        torch.manual_seed(1)
        losses.append(head.loss(features, target, mask)["loss"])
    if isinstance(head, ContinuousHead):
        torch.testing.assert_close(losses[0], losses[1])
    assert head.loss(features, actions, torch.zeros_like(mask))["loss"].item() == 0
    torch.manual_seed(1)
    whole = head.loss(features, actions)["loss"]
    torch.manual_seed(1)
    torch.testing.assert_close(whole, head.loss(features, actions, torch.ones_like(mask))["loss"])


def test_a_policy_goes_on_from_the_weights(trained: tuple, toy_source, tmp_path: Path) -> None:
    _, out = trained
    config = FinetuneConfig(VlaConfig(head="flow"), FitConfig(steps=2, batch_size=4, warmup_steps=1), 6)
    summary, _ = finetune(toy_source, replace(config, cameras=("front",)), None, tmp_path / "run", start=out)
    new = summary["new_weights"].split(", ")
    assert all(name.startswith(("state", "dims", "head")) for name in new), new
    assert "gpt.embed.weight" not in new
    policy = load_policy(tmp_path / "run" / "checkpoint")
    assert isinstance(policy, LearnedPolicy)
    assert isinstance(policy.texts, PromptTexts)
    assert isinstance(policy.network, VlaNetwork)
    start = load_start(out)
    assert policy.texts.tokenizer.vocab_size == start.tokenizer.vocab_size
    assert policy.network.config.width == 32


def test_only_policies_of_its_kind_begin_with_the_weights(trained: tuple, toy_source, tmp_path: Path) -> None:
    for policy in (CompactConfig(head="continuous"), VlaConfig(head="codes")):
        with pytest.raises(ConfigError, match="cannot begin"):
            finetune(toy_source, FinetuneConfig(policy), None, tmp_path / "run", start=trained[1])


def test_weights_that_are_not_there_or_damaged_are_refused(trained: tuple, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="vla model midtrain"):
        load_start(tmp_path)
    path = trained[1] / "start" / "network.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_start(trained[1])
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("policy", [replace(SMALL, head="codes"), replace(SMALL, looks=("a", "b"))])
def test_a_policy_that_a_mixture_cannot_teach_is_refused(policy: VlaConfig) -> None:
    with pytest.raises(ConfigError, match="mixture"):
        MidtrainConfig(policy)
