"""RT-1 and the VLA policy: what they can learn, and that reading a prompt once is reading it every time."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pytest
import torch

from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import FitConfig
from vla_data.types import CameraInput, Episode, InputSpec, Observation, ObservationWindow, SubStep
from vla_model import finetune, load_policy
from vla_model.finetuning import FinetuneConfig
from vla_model.policies.heads import FlowHead
from vla_model.policies.rt1 import RT1Config, RT1Network
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.texts import PAD_TOKEN, PromptTexts, WordTexts
from vla_model.policies.vla import VlaConfig, VlaNetwork
from vla_model.prompt.episodes import PromptParts
from vla_model.samples import SampleTable
from vla_model.words import WordVocabulary

Network = TypeVar("Network", bound=torch.nn.Module)
SHAPES = PolicyShapes(2, 32, 32, 3, 300, 8, 4, levels=3, codebook_size=16, past=4, text_length=12)
PARTS = PromptParts(checklist=False, past_steps=4)
SMALL = VlaConfig(
    depth=2, width=32, heads=2, video_tokens=4, channels=16, parts=PARTS, text_tokens=12, queries=2
)


def batch(size: int = 6, history: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(60, 300, (3, 12), generator=generator)[torch.arange(size) % 3]
    text[:, :3] = 77
    text[torch.arange(size) % 3 == 1, 7:] = PAD_TOKEN
    return {
        "images": torch.randint(
            0, 256, (size, history, 2, 3, 32, 32), dtype=torch.uint8, generator=generator
        ),
        "state": torch.randn(size, 3, generator=generator),
        "past": torch.randn(size, 4, 4, generator=generator),
        "text": text,
        "noise": torch.randn(size, 8, 4, generator=generator),
    }


def by_heart(network: torch.nn.Module, data: dict[str, torch.Tensor], steps: int = 250) -> torch.Tensor:
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        network.training_loss(data)["loss"].backward()  # type: ignore[operator]
        optimiser.step()
    with torch.inference_mode():
        return network.eval()(data)


@pytest.mark.parametrize("head", ["codes", "parallel", "continuous", "flow"])
def test_the_vla_policy_learns_a_few_samples_by_heart(head):
    torch.manual_seed(0)
    network, data = VlaNetwork(replace(SMALL, head=head), SHAPES), batch()
    if head in ("codes", "parallel"):
        data["target"] = torch.randint(0, 16, (6, 3))
        assert (by_heart(network, data) == data["target"]).float().mean() > 0.9
    else:
        data["target"] = torch.rand(6, 8, 4) * 2 - 1
        assert (by_heart(network, data) - data["target"]).abs().mean() < (0.2 if head == "flow" else 0.1)


@pytest.mark.parametrize("tokens", [4, 0])
def test_rt1_learns_a_few_samples_by_heart(tokens):
    torch.manual_seed(0)
    shapes = replace(SHAPES, levels=32, history=2)
    config = RT1Config(tokens=tokens, channels=16, width=32, depth=2, heads=2, word_dropout=0.0)
    data = batch(history=2)
    data["target"] = torch.randint(0, 16, (6, 32))
    assert (by_heart(RT1Network(config, shapes), data, 400) == data["target"]).float().mean() > 0.9


def shaken(network: Network) -> Network:
    torch.manual_seed(1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_earlier_moments_do_not_see_later_ones():
    config = RT1Config(tokens=4, channels=16, width=32, depth=2, heads=2)
    network = shaken(RT1Network(config, replace(SHAPES, levels=8, history=3))).eval()
    order = network.order[:24, :24]
    assert isinstance(order, torch.Tensor)
    blocked = order.view(3, 8, 3, 8).float().mean((1, 3))
    torch.testing.assert_close(blocked, torch.ones(3, 3).triu(1))


def test_a_prompt_read_once_for_many_rows_is_read_as_for_each():
    network = shaken(VlaNetwork(replace(SMALL, head="continuous"), SHAPES))
    data = batch()
    together = network(data)
    for row in range(6):
        alone = network({name: values[row : row + 1] for name, values in data.items()})
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_a_prompt_that_another_begins_with_is_read_to_its_own_end():
    network = shaken(VlaNetwork(replace(SMALL, head="continuous"), SHAPES))
    data = {name: values[:2].clone() for name, values in batch().items()}
    data["text"][1] = data["text"][0]
    data["text"][1, 7:] = PAD_TOKEN
    together = network(data)
    for row in range(2):
        alone = network({name: values[row : row + 1] for name, values in data.items()})
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_what_is_kept_of_prompts_answers_as_if_read_anew_and_is_forgotten_in_training():
    network = shaken(VlaNetwork(replace(SMALL, head="codes"), SHAPES))
    data = batch()
    network.eval()
    with torch.inference_mode():
        first = network(data)
        kept = network(data)
        assert len(network._read) == 3
        network.train()
        assert not network._read
        anew = network.eval()(data)
    assert torch.equal(first, kept)
    assert torch.equal(first, anew)


def test_codes_said_one_by_one_are_those_that_training_judges():
    network, data = shaken(VlaNetwork(replace(SMALL, head="codes"), SHAPES)).eval(), batch()
    with torch.inference_mode():
        said = network(data)
        found, cache = network.features(data)
        start = SMALL.text_tokens + network._suffix
        spoken = network.gpt.embedded(network._code_tokens(said[:, :-1], 0))
        rest = network.gpt.features(spoken, cache, start=start)
        judged = network._code_logits(torch.cat([found, rest], 1), 0).argmax(-1)
    assert torch.equal(said, judged)


def test_every_part_that_is_given_changes_the_answer():
    network, data = shaken(VlaNetwork(replace(SMALL, head="continuous"), SHAPES)).eval(), batch()
    with torch.inference_mode():
        plain = network(data)
        for name in ("images", "state", "past", "text"):
            changed = {**data, name: data[name].roll(1, 0)}
            assert not torch.allclose(network(changed), plain, atol=1e-4), name


def test_a_flow_reaches_two_far_answers_and_not_the_middle():
    torch.manual_seed(0)
    head = FlowHead(2, 1, 1, hidden=64, steps=16)
    features = torch.zeros(256, 2)
    optimiser = torch.optim.AdamW(head.parameters(), 3e-3)
    for _ in range(400):
        actions = torch.randint(0, 2, (256, 1, 1)).float() * 2 - 1
        optimiser.zero_grad()
        head.loss(features, actions)["loss"].backward()
        optimiser.step()
    with torch.inference_mode():
        found = head(features, torch.randn(256, 1, 1)).flatten()
    assert (found.abs() > 0.6).float().mean() > 0.9
    assert 0.3 < (found > 0).float().mean() < 0.7


CONFIG = FinetuneConfig(
    policy=replace(SMALL, head="continuous", text_tokens=256, parts=replace(PARTS, past_steps=0)),
    fit=FitConfig(steps=150, batch_size=32, learning_rate=2e-3, warmup_steps=5, threads=1),
    action_horizon=6,
)


def window(source, index: int, instruction: str) -> ObservationWindow:
    episode = source[index]
    images = {name: frames[3] for name, frames in episode.images.items()}
    past = episode.action[1:3]
    return ObservationWindow((Observation(0.0, images, episode.state[3], instruction),), past)


def test_the_vla_policy_does_what_it_is_told_and_its_checkpoint_holds_its_prompt(toy_source, tmp_path):
    finetune(toy_source, CONFIG, None, tmp_path)
    policy = load_policy(tmp_path / "checkpoint")
    assert policy.input_spec.past == 0
    left, right = policy.infer([window(toy_source, 0, "go left"), window(toy_source, 0, "go right")])
    assert (left.actions[:, 0] < -0.2).all()
    assert (right.actions[:, 0] > 0.2).all()
    with pytest.raises(ConfigError, match="longer than the policy reads"):
        policy.infer([window(toy_source, 0, "go left and " * 200)])
    (tmp_path / "checkpoint" / "prompt.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_policy(tmp_path / "checkpoint")


def test_prompts_come_back_from_a_checkpoint(toy_source, tmp_path):
    spec = InputSpec(toy_source.robot, (CameraInput("front", 32, 32),), 6)
    texts = PromptTexts.train(["go left", "go right"], spec, PARTS, 256, 300, 12)
    texts.save(tmp_path)
    again = PromptTexts.load(tmp_path, spec)
    np.testing.assert_array_equal(texts.encode(["go up"]), again.encode(["go up"]))
    assert again.size == texts.size


def test_history_and_past_actions_stop_where_an_episode_begins(toy_source):
    table = SampleTable.of(toy_source, (CameraInput("front", 32, 32),), 5)
    rows = np.array([20, 22, 45])
    seen, past = table.seen(rows, 3), table.past(rows, 2)
    np.testing.assert_array_equal(seen[0, :, 0], table.images[[20, 20, 20], 0])
    np.testing.assert_array_equal(seen[2, :, 0], table.images[[43, 44, 45], 0])
    assert not past[0].any()
    np.testing.assert_array_equal(past[1], toy_source[1].action[:2])


def test_samples_of_one_task_share_their_wording_where_asked(toy_source):
    table = SampleTable.of(toy_source, (CameraInput("front", 32, 32),), 5)
    rows, texts = table.sample(3, 64, 0, share=True)
    assert len(set(texts.tolist())) == 2
    for row, text in zip(rows, texts, strict=True):
        assert text in table.wordings[row]


def test_checklists_are_told_to_those_that_read_them_and_to_no_other(toy_source):
    @dataclass(frozen=True)
    class Listed(type(toy_source)):
        def __getitem__(self, index: int) -> Episode:
            steps = (SubStep(0, 5, "look"), SubStep(5, 9, "go"), SubStep(9, 20, "look"))
            return replace(super().__getitem__(index), substeps=steps)

    cameras = (CameraInput("front", 32, 32),)
    table = SampleTable.of(Listed(), cameras, 5, checklists=True)
    assert "go left\n- [ ] look\n- [ ] go" in table.texts
    plain = SampleTable.of(Listed(), cameras, 5)
    assert "go left" in plain.texts
    words = WordTexts(WordVocabulary.of(plain.texts))
    np.testing.assert_array_equal(words.encode([table.texts[0]]), words.encode([plain.texts[0]]))
    spec = InputSpec(toy_source.robot, cameras, 6)
    parts = PromptParts(checklist=True)
    reads = PromptTexts.train(table.texts, spec, parts, 256, 300, 0)
    assert len(reads.tokens("go left\n- [ ] look")) > len(reads.tokens("go left"))
    deaf = PromptTexts.train(table.texts, spec, replace(parts, checklist=False), 256, 300, 0)
    assert deaf.tokens("go left\n- [ ] look") == deaf.tokens("go left")


@pytest.mark.parametrize("head", ["codes", "parallel", "continuous", "flow"])
def test_actions_are_not_learned_from_views_that_do_not_show_the_target(head):
    network = shaken(VlaNetwork(replace(SMALL, head=head, looks=("a", "b")), replace(SHAPES, places=2)))
    data = {n: v.float() if n == "past" else v for n, v in batch().items()}
    data |= {"view": torch.tensor([0, 1] * 3), "look": torch.tensor([0, 0, 1, 1, 0, 1])}
    data["acts"] = torch.tensor([True, False, True, False, True, False])
    codes = head in ("codes", "parallel")
    data["target"] = torch.randint(0, 16, (6, 3)) if codes else torch.rand(6, 8, 4) * 2 - 1
    torch.manual_seed(0)
    told = network.training_loss(data)
    data["target"][~data["acts"]] = 0
    torch.manual_seed(0)
    assert torch.equal(told["loss"], network.training_loss(data)["loss"])
    told["loss"].backward()
    grown = {name for name, p in network.named_parameters() if p.grad is not None}
    assert {"look.weight", "view.weight"} <= grown
    none = data | {"acts": torch.zeros(6, dtype=torch.bool)}
    assert torch.isfinite(network.training_loss(none)["loss"])
