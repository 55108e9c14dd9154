"""Policies on Hugging Face backbones: the real classes at tiny size, nothing fetched, nothing unpickled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import FitConfig
from vla_data.types import Observation, ObservationWindow
from vla_model import finetune, load_policy
from vla_model.finetuning import FinetuneConfig
from vla_model.lm.tokenizer import Tokenizer
from vla_model.policies.hf import PADDING, HfConfig, HfNetwork, with_digest
from vla_model.policies.shapes import PolicyShapes

transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPES = PolicyShapes(2, 32, 32, 3, 320, 6, 4, text_length=16)


def text_config(kind: str):
    made = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[kind]
    return made(vocab_size=400, num_key_value_heads=1, max_position_embeddings=128, **SMALL)


def make(kind: str, directory: Path) -> Path:
    """Random weights of a real class, with a tokenizer beside them."""
    torch.manual_seed(0)
    if kind == "smolvlm":
        text = text_config("llama")
        eye = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
               "image_size": 32, "patch_size": 16}  # fmt: skip
        config = transformers.SmolVLMConfig(text_config=text.to_dict(), vision_config=eye, image_token_id=1)
        model = transformers.SmolVLMForConditionalGeneration(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(text_config(kind))
    model.save_pretrained(directory)
    inner = Tokenizer.train(["Task: go left", "move to the right"], 300)._inner
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("llama", tmp_path_factory.mktemp("llama"))


def batch(size: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(10, 300, (size, 16), generator=generator)
    text[1::2, 9:] = PADDING
    return {
        "images": torch.randint(0, 256, (size, 1, 2, 3, 32, 32), dtype=torch.uint8, generator=generator),
        "state": torch.randn(size, 3, generator=generator),
        "text": text,
        "noise": torch.randn(size, 6, 4, generator=generator),
        "target": torch.rand(size, 6, 4, generator=generator) * 2 - 1,
    }


@pytest.mark.parametrize("kind", ["llama", "qwen2", "smolvlm"])
@pytest.mark.parametrize(("head", "rank"), [("continuous", 4), ("flow", 0)])
def test_real_classes_learn_by_heart(kind: str, head: str, rank: int, tmp_path: Path):
    config = HfConfig(str(make(kind, tmp_path)), lora_rank=rank, head=head, channels=8)  # type: ignore[arg-type]
    torch.manual_seed(0)
    network, data = HfNetwork(config, SHAPES), batch()
    free = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(free, 3e-3)
    first = float(network.training_loss(data)["loss"])
    loss = torch.ones(())
    for _ in range(120):
        optimiser.zero_grad()
        loss = network.training_loss(data)["loss"]
        loss.backward()
        optimiser.step()
    assert float(loss) < 0.4 * first


def test_only_what_is_trained_is_saved_and_the_rest_stays_as_it_was(llama: Path):
    torch.manual_seed(0)
    network = HfNetwork(HfConfig(str(llama), lora_rank=4, channels=8), SHAPES)
    names = set(network.state_dict())
    assert any("lora_A" in n for n in names)
    assert not any("embed_tokens" in n for n in names)
    again = HfNetwork(HfConfig(str(llama), lora_rank=4, channels=8), SHAPES)
    again.load_state_dict(network.state_dict())
    data = batch()
    torch.testing.assert_close(again.eval()(data), network.eval()(data))
    with pytest.raises(RuntimeError, match="lora_A"):
        again.load_state_dict({k: v for k, v in network.state_dict().items() if "lora_A" not in k})


def test_an_answer_does_not_depend_on_the_padding_of_others(llama: Path):
    torch.manual_seed(0)
    network, data = HfNetwork(HfConfig(str(llama), channels=8), SHAPES).eval(), batch()
    with torch.inference_mode():
        together = network(data)
        for row in range(4):
            alone = network({name: values[row : row + 1] for name, values in data.items()})
            torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def window(source, instruction: str) -> ObservationWindow:
    episode = source[0]
    images = {name: frames[3] for name, frames in episode.images.items()}
    seen = Observation(0.0, images, episode.state[3], instruction)
    return ObservationWindow((seen,), np.zeros((0, 4), np.float32))


def test_from_backbone_to_checkpoint_to_policy(toy_source, llama: Path, tmp_path: Path):
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    for path in llama.iterdir():
        (backbone / path.name).write_bytes(path.read_bytes())
    config = FinetuneConfig(
        HfConfig(str(backbone), lora_rank=8, channels=8),
        FitConfig(steps=80, batch_size=16, learning_rate=3e-3, warmup_steps=5, threads=1),
        action_horizon=6,
    )
    finetune(toy_source, config, None, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint"
    assert (checkpoint / "model.safetensors").stat().st_size < 400_000
    policy = load_policy(checkpoint)
    left, right = policy.infer([window(toy_source, "go left"), window(toy_source, "go right")])
    assert (left.actions[:, 0] < right.actions[:, 0]).all()
    weights = backbone / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="not the one the policy was trained on"):
        load_policy(checkpoint)


def test_backbones_that_are_not_there_not_named_or_pickled_are_refused(llama: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="no backbone is named"):
        HfNetwork(HfConfig(), SHAPES)
    with pytest.raises(CheckpointError, match="no such backbone"):
        HfNetwork(HfConfig("nobody/nothing"), SHAPES)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no safetensors") as error:
        with_digest(HfConfig(str(tmp_path)))
    assert "pickles are not opened" in str(error.value)
    assert replace(HfConfig(str(llama))).sha256 == ""
