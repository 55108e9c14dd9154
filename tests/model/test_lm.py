"""The language model: tokens that lose nothing, a past that does not see the future, bits that add up."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_data.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from vla_data.fit import FitConfig, fit
from vla_data.fit.optimizers import make_optimizer, orthogonal
from vla_data.protocols import Progress
from vla_model.lm.batches import TokenBatches, windows, write_tokens
from vla_model.lm.checkpoint import load_lm, save_lm
from vla_model.lm.config import GPTConfig
from vla_model.lm.corpus import PART, cut, read_corpus, split
from vla_model.lm.gpt import GPT, IGNORED, Cache
from vla_model.lm.pretraining import PRESETS, derived, pretrain
from vla_model.lm.sampling import SampleConfig, sample
from vla_model.lm.scoring import bits_per_byte
from vla_model.lm.tokenizer import SPECIAL, Tokenizer, pieces

WORDS = """the arm opens its gripper over red mug then lifts and turns it slowly while another waits
below""".split()  # noqa: SIM905
SMALL = GPTConfig(vocab_size=400, depth=2, width=32, heads=2, context=24)


def sentences(count: int, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    return "\n".join(" ".join(rng.choice(WORDS, 9)) + "." for _ in range(count))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([sentences(200)], 400, codes=8)


@pytest.fixture
def model() -> GPT:
    """Not as it begins, when every token is as probable as every other."""
    torch.manual_seed(0)
    made = GPT(SMALL)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


# Tokens


@given(st.text())
@settings(max_examples=200)
def test_every_text_comes_back(tokenizer: Tokenizer, text: str):
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert int(tokenizer.byte_lengths[tokens].sum()) == len(text.encode())


@given(st.lists(st.sampled_from([*SPECIAL, "<|code 3|>", "a", " "]), max_size=6).map("".join))
def test_no_text_spells_a_special_token(tokenizer: Tokenizer, text: str):
    tokens = tokenizer.encode(text)
    assert all(t >= len(SPECIAL) + tokenizer.codes for t in tokens)
    assert tokenizer.decode(tokens) == text


def test_special_tokens_and_codes_have_their_numbers(tokenizer: Tokenizer):
    assert [tokenizer.special(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert [tokenizer.code_of(tokenizer.code(i)) for i in range(8)] == list(range(8))
    assert tokenizer.code_of(tokenizer.special("<|user|>")) is None
    assert tokenizer.code_of(tokenizer.encode("a")[0]) is None
    assert (
        tokenizer.decode([tokenizer.special("<|user|>"), *tokenizer.encode("hi"), tokenizer.code(0)]) == "hi"
    )
    assert not tokenizer.byte_lengths[: len(SPECIAL) + 8].any()
    with pytest.raises(UnknownNameError, match=r"<\|usr\|>"):
        tokenizer.special("<|usr|>")
    with pytest.raises(ConfigError, match="below 8"):
        tokenizer.code(8)


def test_frequent_words_are_one_token(tokenizer: Tokenizer):
    assert list(pieces(tokenizer, " gripper over")) == [" gripper", " over"]
    assert tokenizer.encode_many(["the arm", "x"]) == [tokenizer.encode("the arm"), tokenizer.encode("x")]


def test_a_tokenizer_is_stored(tokenizer: Tokenizer, tmp_path: Path):
    path = tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    text = sentences(3, 1)
    assert (again.codes, again.vocab_size) == (8, tokenizer.vocab_size)
    assert again.encode(text) == tokenizer.encode(text)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    path.write_text(path.with_suffix(".json").read_text().replace("user", "usor") or "{}")
    with pytest.raises(CheckpointError):
        Tokenizer.load(tmp_path)
    with pytest.raises(ConfigError, match="too small"):
        Tokenizer.train(["a"], 200)


# The model


def test_later_tokens_change_nothing_before(model: GPT):
    tokens = torch.randint(0, 400, (2, 12))
    changed = tokens.clone()
    changed[:, 7:] = torch.randint(0, 400, (2, 5))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :7], model(changed)[:, :7])
        assert not torch.allclose(model(tokens)[:, 7:], model(changed)[:, 7:])


@pytest.mark.parametrize("cuts", [(1,) * 10, (4, 1, 5), (10,), (3, 3, 4)])
def test_a_cache_changes_nothing(model: GPT, cuts: tuple[int, ...]):
    tokens = torch.randint(0, 400, (3, 10))
    cache, start, said = Cache(), 0, []
    with torch.no_grad():
        for length in cuts:
            said.append(model(tokens[:, start : start + length], cache))
            start += length
        torch.testing.assert_close(torch.cat(said, dim=1), model(tokens), rtol=1e-4, atol=1e-4)
    assert cache.length == 10


def test_an_untrained_model_knows_nothing():
    torch.manual_seed(0)
    loss = GPT(SMALL).training_loss({"tokens": torch.randint(0, 400, (2, 13))})["loss"]
    assert float(loss.detach()) == pytest.approx(math.log(400), rel=1e-5)


def test_what_is_ignored_is_not_learned(model: GPT):
    tokens = torch.randint(0, 400, (2, 13))
    targets = tokens[:, 1:].clone()
    targets[:, :6] = IGNORED
    whole = F.cross_entropy(model(tokens[:, :-1])[:, 6:].flatten(0, 1), tokens[:, 7:].flatten())
    torch.testing.assert_close(model.training_loss({"tokens": tokens, "targets": targets})["loss"], whole)


def test_sizes_follow_from_depth():
    for depth in (1, 4, 12):
        config = GPTConfig.at_depth(depth, 512)
        assert config.width == 64 * depth
        assert config.width % config.heads == 0
        if depth == 1:
            assert sum(p.numel() for p in GPT(config).parameters()) == config.parameters
    with pytest.raises(ConfigError, match="heads"):
        GPTConfig(width=30, heads=4)


def test_a_sequence_longer_than_the_context(model: GPT):
    with pytest.raises(ConfigError, match="longer than the context"):
        model(torch.zeros(1, 25, dtype=torch.long))


# The optimiser


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (32, 32)])
def test_updates_are_nearly_orthogonal(shape: tuple[int, int]):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert 0.4 < values.min() <= values.max() < 1.3


def test_muon_is_for_modules_that_say_so():
    with pytest.raises(ConfigError, match="Muon"):
        make_optimizer(torch.nn.Linear(2, 2), FitConfig(optimizer="muon"))
    groups = make_optimizer(GPT(SMALL), FitConfig(optimizer="muon", learning_rate=1e-3)).param_groups
    assert [g["muon"] for g in groups] == [False, False, True]
    assert [round(g["lr"] / 1e-3, 3) for g in groups] == [20.0, 0.4, 1.0]


def test_interrupted_pretraining_ends_in_the_same_weights(tmp_path: Path, tokenizer: Tokenizer):
    path = tmp_path / "tokens.bin"
    write_tokens([sentences(400)], tokenizer, path)
    config = FitConfig(steps=9, optimizer="muon", checkpoint_every=2, log_every=1, warmup_steps=2)

    def trained(name: str, stop: int | None = None) -> torch.Tensor:
        def watch(progress: Progress) -> None:
            if progress.done == stop:
                raise InterruptedError

        torch.manual_seed(1)
        made = GPT(SMALL)
        fit(made, TokenBatches(path, 4, 24), config, tmp_path / name, watch)
        return torch.cat([p.detach().flatten() for p in made.parameters()])

    with pytest.raises(InterruptedError):
        trained("interrupted", 5)
    assert torch.equal(trained("interrupted"), trained("whole"))


# Text and batches


def test_documents_are_held_out_by_what_they_say(tmp_path: Path):
    for i in range(40):
        (tmp_path / f"{i}.txt").write_text(sentences(20, i))
    (tmp_path / "more.md.gz").write_bytes(gzip.compress(sentences(20, 99).encode()))
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    corpus = read_corpus([tmp_path], 0.2)
    assert len(corpus.train) + len(corpus.held) == 41
    assert 1 <= len(corpus.held) < 20
    assert not set(corpus.train) & set(corpus.held)
    assert corpus.skipped == (str(tmp_path / "noise.txt"),)
    fewer = read_corpus([tmp_path / f"{i}.txt" for i in range(30)], 0.2)
    assert not set(fewer.held) & set(corpus.train)  # the same text stays on its side
    with pytest.raises(DataError, match="no text"):
        read_corpus([tmp_path / "noise.txt"], 0.2)
    with pytest.raises(DataError, match="no such text"):
        read_corpus([tmp_path / "missing"], 0.2)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.txt").write_text("short")
    with pytest.raises(DataError, match="too little"):
        read_corpus([tmp_path / "tiny"], 0.2)


def test_parquet_is_text_too(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table(
        {"text": [sentences(5, i) for i in range(9)], "n": list(range(9))}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    corpus = read_corpus([tmp_path / "a.parquet"], 0.2)
    assert len(corpus.train) + len(corpus.held) == 9
    parquet.write_table(table.select(["n"]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="no column of text"):
        read_corpus([tmp_path / "b.parquet"], 0.2)


@given(st.text(alphabet="ab\n", max_size=200), st.integers(1, 6))
def test_parts_make_the_whole(text: str, times: int):
    long = text * (times * PART // max(1, len(text)))
    parts = list(cut(long))
    assert "".join(parts) == long
    assert all(len(p) <= 1.5 * PART + 1 for p in parts)


def test_at_least_one_part_is_held_out():
    train, held = split(["a", "b"], 1e-9)
    assert (len(train), len(held)) == (1, 1)


@given(st.integers(1, 200), st.integers(2, 16))
def test_every_token_is_a_target_once(count: int, length: int):
    tokens = list(range(count))
    targets = [t for row, fresh in windows(tokens, length) for t in row[len(row) - fresh :]]
    assert targets == tokens[1:]
    assert all(len(row) <= length + 1 for row, _ in windows(tokens, length))


def test_batches_are_a_function_of_the_step(tmp_path: Path, tokenizer: Tokenizer):
    path = tmp_path / "tokens.bin"
    count = write_tokens([sentences(30), sentences(30, 1)], tokenizer, path)
    batches = TokenBatches(path, 3, 16, seed=2)
    assert len(batches.tokens) == count
    assert int((batches.tokens == tokenizer.special("<|begin|>")).sum()) == 2
    assert torch.equal(batches(5)["tokens"], TokenBatches(path, 3, 16, seed=2)(5)["tokens"])
    assert not torch.equal(batches(5)["tokens"], batches(6)["tokens"])
    with pytest.raises(DataError, match="too few tokens"):
        TokenBatches(path, 3, count)


# Scores and answers


def test_bits_add_up(model: GPT, tokenizer: Tokenizer):
    """A text within the context: the sum of its tokens' surprisals, by hand."""
    text = "the arm opens its gripper"
    tokens = torch.tensor([[tokenizer.special("<|begin|>"), *tokenizer.encode(text)]])
    with torch.no_grad():
        likely = model(tokens[:, :-1]).log_softmax(dim=-1)
    bits = -likely.gather(2, tokens[:, 1:, None]).double().sum() / math.log(2)
    assert bits_per_byte(model, tokenizer, [text]) == pytest.approx(float(bits) / len(text), rel=1e-5)
    twice = bits_per_byte(model, tokenizer, [text, text])
    assert twice == pytest.approx(float(bits) / len(text), rel=1e-5)


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary(tokenizer: Tokenizer):
    text = sentences(40, 3)  # longer than the context
    expected = len(tokenizer.encode(text)) * math.log2(400) / len(text.encode())
    assert bits_per_byte(GPT(SMALL), tokenizer, [text]) == pytest.approx(expected, rel=1e-5)


def test_the_most_probable_answer(model: GPT):
    prompt, tokens = [1, 20, 30], [1, 20, 30]
    (answer,) = sample(model, prompt, SampleConfig(max_tokens=6, temperature=0))
    with torch.no_grad():
        for token in answer:
            assert token == int(model(torch.tensor([tokens]))[0, -1].argmax())
            tokens.append(token)
    assert len(answer) == 6
    assert sample(model, prompt, SampleConfig(max_tokens=6, temperature=0), stop=[answer[2]]) == [answer[:2]]


def test_answers_follow_from_the_seed_and_end_with_the_context(model: GPT):
    config = SampleConfig(max_tokens=100, temperature=2.0, top_k=None, seed=4)
    first = sample(model, [1, 2], config, count=3)
    assert first == sample(model, [1, 2], config, count=3)
    assert first != sample(model, [1, 2], replace(config, seed=5), count=3)
    assert {len(a) for a in first} == {SMALL.context - 2}
    assert first[0] != first[1]
    with pytest.raises(ConfigError, match="no prompt"):
        sample(model, [])


def test_draws_keep_to_the_most_probable(model: GPT):
    with torch.no_grad():
        best = model(torch.tensor([[1, 2]]))[0, -1].topk(3).indices.tolist()
    answers = sample(model, [1, 2], SampleConfig(max_tokens=1, temperature=3.0, top_k=3), count=60)
    assert {a[0] for a in answers} <= set(best)


# Runs


def test_pretraining_learns_and_leaves_a_model(tmp_path: Path):
    (tmp_path / "text.txt").write_text(sentences(4000))
    corpus = read_corpus([tmp_path / "text.txt"], 0.1)
    config = PRESETS["debug"]()
    out = tmp_path / "run"
    out.mkdir()
    summary, sections = pretrain(corpus, config, out)
    untrained = 9 * summary["text_tokens"] / summary["text_bytes"]
    assert summary["bits_per_byte"] < 0.8 * untrained
    assert sections[0].title == "Language model"
    model, tokenizer, stage = load_lm(out)
    assert stage == "pretrain"
    assert bits_per_byte(model, tokenizer, corpus.held) == pytest.approx(summary["bits_per_byte"], abs=1e-4)
    assert not (out / "tokens.bin").exists()


def test_a_damaged_model_is_refused(tmp_path: Path, model: GPT, tokenizer: Tokenizer):
    save_lm(tmp_path / "model", model, tokenizer, "pretrain")
    loaded, _, _ = load_lm(tmp_path)
    assert torch.equal(loaded.head.weight, model.head.weight)
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="not the one that was written"):
        load_lm(tmp_path)
    with pytest.raises(CheckpointError, match="no language model"):
        load_lm(tmp_path / "elsewhere")


def test_the_dial_moves_everything():
    sizes = {d: derived(replace(PRESETS["default"](), depth=d), 4096) for d in (4, 8)}
    assert sizes[8][0].width == 2 * sizes[4][0].width
    assert sizes[8][1].batch_size == 2 * sizes[4][1].batch_size
    assert sizes[8][1].learning_rate < sizes[4][1].learning_rate
    seen = {d: loop.steps * loop.batch_size * model.context for d, (model, loop) in sizes.items()}
    assert seen[4] == pytest.approx(sizes[4][0].horizon, rel=0.01)
    with pytest.raises(ConfigError):
        replace(PRESETS["default"](), depth=0)
