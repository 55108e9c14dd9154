"""Series and a language model: what is learned, what is kept, what comes back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vla_data.errors import CheckpointError
from vla_model.align.series import (
    QuestionBatches,
    SeriesModel,
    _exchanged,
    load_series_model,
    save_series_model,
)
from vla_model.lm.config import GPTConfig
from vla_model.lm.gpt import GPT
from vla_model.lm.tokenizer import Tokenizer
from vla_ts.language.batches import SeriesBatch
from vla_ts.language.encoder import SeriesEncoderConfig
from vla_ts.language.generator import GeneratorConfig, SeriesGenerator, answers, grammar

GENERATOR = GeneratorConfig(("trend",), lengths=(32,), dims=(1,))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([*grammar(), *answers()], 500)


def small(tokenizer: Tokenizer) -> SeriesModel:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(tokenizer.vocab_size, 2, 64, 2, 256))
    return SeriesModel(gpt, SeriesEncoderConfig(64, 4, (64,)))


def test_trends_are_learned_from_patches(tokenizer):
    model, generator = small(tokenizer), SeriesGenerator(GENERATOR, "train")
    batches = QuestionBatches(generator, tokenizer, 4, 32)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    for step in range(250):
        optimiser.zero_grad()
        model.training_loss(batches(step))["loss"].backward()
        optimiser.step()
    right = model.answered(SeriesBatch(**batches(1000))).float().mean()
    assert right > 0.75


def test_a_batch_follows_from_its_step(tokenizer):
    batches = QuestionBatches(SeriesGenerator(GENERATOR, "train"), tokenizer, 4, 3)
    for one, again in zip(batches(5).values(), batches(5).values(), strict=True):
        assert torch.equal(one, again)
    assert not torch.equal(batches(5)["patches"], batches(6)["patches"])


def test_the_control_exchanges_series_and_nothing_else():
    generator = SeriesGenerator(replace(GENERATOR, kinds=("trend", "noise")), "held_out")
    examples = [generator[i] for i in range(12)]
    changed = _exchanged(examples)
    assert sorted(e.question for e in changed) == sorted(e.question for e in examples)
    kept = {id(e.series.values) for e in examples}
    assert {id(e.series.values) for e in changed} == kept
    pairs = {(e.question, e.answer, e.series.names) for e in examples}
    assert {(e.question, e.answer, e.series.names) for e in changed} == pairs


def test_it_comes_back_and_a_flipped_byte_is_refused(tokenizer, tmp_path: Path):
    model = small(tokenizer).eval()
    save_series_model(tmp_path / "series", model, tokenizer)
    again, known = load_series_model(tmp_path)
    batch = SeriesBatch(**QuestionBatches(SeriesGenerator(GENERATOR, "train"), known, 4, 3)(0))
    with torch.inference_mode():
        torch.testing.assert_close(again.logits(batch), model.logits(batch))
    path = tmp_path / "series" / "encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_series_model(tmp_path)
    with pytest.raises(CheckpointError, match="no aligned series encoder"):
        load_series_model(tmp_path / "nowhere")
