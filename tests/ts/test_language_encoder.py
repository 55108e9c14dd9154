"""Encoder, splicing and batches: what stands where, and that gradients reach what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import ConfigError, DataError
from vla_ts.language import (
    GeneratorConfig,
    NamedSeries,
    SeriesBatch,
    SeriesEncoder,
    SeriesEncoderConfig,
    SeriesGenerator,
    WordTokenizer,
    collate,
    plan_splice,
    prepare,
    splice,
)
from vla_ts.language.batches import IGNORED, prepare_prompt
from vla_ts.language.questions import QUESTIONS

CONFIG = SeriesEncoderConfig(width=12, patch_len=4, hidden=(16,), frequencies=3)


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[int], list[list[int]], list[list[int]]]:
    lengths, slots, runs = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        length, count = draw(st.integers(1, 9)), draw(st.integers(0, 3))
        lengths.append(length)
        slots.append(sorted(draw(st.lists(st.integers(0, length), min_size=count, max_size=count))))
        runs.append(draw(st.lists(st.integers(1, 4), min_size=count, max_size=count)))
    return lengths, slots, runs


@given(rows())
def test_splicing_puts_every_run_behind_its_token(batch: tuple):
    """Against lists: tokens are positive numbers, series embeddings negative ones."""
    lengths, slots, runs = batch
    positions = plan_splice(lengths, slots, runs)
    tokens = torch.zeros(len(lengths), positions.tokens, 1)
    series = torch.zeros(len(lengths), positions.patches, 1)
    expected = []
    for row, (length, at, run) in enumerate(zip(lengths, slots, runs, strict=True)):
        numbers = list(range(1, length + 1))
        tokens[row, :length, 0] = torch.tensor(numbers, dtype=torch.float32)
        used, out = 0, list(numbers)
        pieces = []
        for count in run:
            pieces.append([-(used + i + 1) for i in range(count)])
            used += count
        series[row, :used, 0] = -torch.arange(1, used + 1, dtype=torch.float32)
        for slot, piece in reversed(list(zip(at, pieces, strict=True))):
            out[slot:slot] = piece
        expected.append(out)
    spliced = splice(tokens, series, positions)[..., 0]
    for row, out in enumerate(expected):
        assert spliced[row, : len(out)].tolist() == out
        assert spliced[row, len(out) :].eq(0).all()
        assert positions.valid[row].tolist() == [i < len(out) for i in range(spliced.shape[1])]
        assert positions.is_series[row].tolist() == (spliced[row] < 0).tolist()
        places = positions.of_tokens()[row]
        assert spliced[row, places[: lengths[row]]].tolist() == list(range(1, lengths[row] + 1))
        assert places[lengths[row] :].eq(-1).all()


def test_gradients_reach_both_kinds_of_embeddings_and_not_the_padding():
    positions = plan_splice([3, 1], [[2], []], [[2], []])
    tokens = torch.randn(2, 3, 5, requires_grad=True)
    series = torch.randn(2, 2, 5, requires_grad=True)
    splice(tokens, series, positions).sum().backward()
    assert tokens.grad is not None
    assert series.grad is not None
    assert tokens.grad[..., 0].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert series.grad[..., 0].tolist() == [[1, 1], [0, 0]]


def test_a_text_without_room_for_its_series_is_refused():
    for slots, runs in (([1], [1, 1]), ([4], [1]), ([2, 1], [1, 1])):
        with pytest.raises(DataError, match=r"(?s)no place for its series.*row 0.*<ts><ts/>"):
            plan_splice([3], [slots], [runs])


@pytest.mark.usefixtures("unchecked_shapes")
def test_embeddings_of_another_batch_are_refused():
    positions = plan_splice([3], [[1]], [[2]])
    for tokens, series in (((1, 4, 5), (1, 2, 5)), ((1, 3, 5), (1, 1, 5)), ((1, 3, 5), (1, 2, 6))):
        with pytest.raises(DataError, match="different batches"):
            splice(torch.zeros(tokens), torch.zeros(series), positions)


def test_the_encoder_tells_patches_apart_by_value_mask_and_place():
    encoder = SeriesEncoder(CONFIG)
    patches = torch.rand(1, 1, 8)
    patches[..., 4:] = 1
    other_value, other_mask = patches.clone(), patches.clone()
    other_value[..., 0] += 1
    other_mask[..., 7] = 0
    start = torch.zeros(1, 1, dtype=torch.int64)
    base = encoder(patches, start)
    assert base.shape == (1, 1, 12)
    for changed in (encoder(other_value, start), encoder(other_mask, start), encoder(patches, start + 4)):
        assert not torch.allclose(base, changed)


def test_without_frequencies_the_place_does_not_count():
    encoder = SeriesEncoder(SeriesEncoderConfig(width=12, patch_len=4, hidden=(16,), frequencies=0))
    patches = torch.ones(1, 1, 8)
    start = torch.zeros(1, 1, dtype=torch.int64)
    assert torch.equal(encoder(patches, start), encoder(patches, start + 40))


def test_every_start_of_a_long_series_has_a_place_of_its_own():
    encoder = SeriesEncoder(SeriesEncoderConfig(width=4, patch_len=8))
    start = torch.arange(0, 4096, 8)
    angle = start[:, None] * encoder.waves
    place = torch.cat((angle.sin(), angle.cos()), 1)
    assert torch.pdist(place).min() > 0.05


def test_padding_embeds_to_zero_and_gives_no_gradient():
    encoder = SeriesEncoder(CONFIG)
    patches = torch.zeros(1, 2, 8)
    patches[0, 0] = 1
    out = encoder(patches, torch.zeros(1, 2, dtype=torch.int64))
    assert out[0, 1].eq(0).all()
    out[0, 1].sum().backward()
    assert all(p.grad is None or p.grad.eq(0).all() for p in encoder.parameters())


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"patch_len": 0}, {"hidden": (0,)}, {"longest": 4}, {"frequencies": -1}]
)
def test_sizes_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="series encoder"):
        SeriesEncoderConfig(**{"width": 8, "patch_len": 4, **wrong})


TOKENIZER = WordTokenizer.of_generator()


def test_the_tokenizer_knows_all_that_is_asked_and_answered():
    for split in ("train", "held_out"):
        generator = SeriesGenerator(GeneratorConfig(dims=(1, 2, 3)), split)
        for index in range(40):
            example = generator[index]
            assert len(TOKENIZER.encode(example.answer)) == 1
            assert TOKENIZER.decode(TOKENIZER.encode(example.answer)) == example.answer
            tokens = prepare(example, TOKENIZER, 4).tokens
            assert 0 < min(tokens) <= max(tokens) < TOKENIZER.vocab_size
    assert len({TOKENIZER.encode(a)[0] for q in QUESTIONS.values() for a in q.answers}) > 40


def test_an_unknown_word_is_refused():
    with pytest.raises(DataError, match=r"(?s)does not know.*banana"):
        TOKENIZER.encode("what is the period of banana ?")


def test_runs_stand_between_their_signs_and_the_label_in_front_of_nothing():
    generator = SeriesGenerator(GeneratorConfig(), "train")
    examples = [generator[i] for i in range(24)]
    batch = collate([prepare(e, TOKENIZER, 4) for e in examples])
    positions = batch.positions
    opened, closed = TOKENIZER.ids["<ts>"], TOKENIZER.ids["<ts/>"]
    for row, example in enumerate(examples):
        steps, dims = example.series.values.shape
        order = positions.source[row][positions.valid[row]].tolist()
        said = [int(batch.tokens[row, i]) if i < positions.tokens else -1 for i in order]
        assert said.count(opened) == said.count(closed) == dims
        text = "".join("s" if i < 0 else "<" if i == opened else ">" if i == closed else "." for i in said)
        assert text.count("<" + "s" * -(-steps // 4) + ">") == dims
        place = batch.labels[row].ne(IGNORED).nonzero()[:, 0].tolist()
        assert place == [len(said) - 1]
        assert TOKENIZER.decode([int(batch.labels[row, place[0]])]) == example.answer


class Letters:
    """A tokenizer of another kind: every letter a token, so answers are longer than one."""

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text]


def test_any_tokenizer_will_do_and_long_answers_are_predicted_letter_by_letter():
    example = SeriesGenerator(GeneratorConfig(kinds=("trend",)), "train")[0]
    prepared = prepare(example, Letters(), 8)
    batch = collate([prepared])
    labels = batch.labels[0][batch.labels[0] != IGNORED]
    assert "".join(map(chr, labels.tolist())) == example.answer
    source = batch.source[0]
    first = int((batch.labels[0] != IGNORED).nonzero()[0, 0])
    fed = [chr(int(batch.tokens[0, i])) for i in source[first + 1 :]]
    assert "".join(fed) == example.answer[:-1]
    text = "".join(map(chr, prepared.tokens))
    assert [text[:slot].endswith("<ts>") for slot in prepared.slots] == [True] * len(prepared.runs)


def test_what_else_is_in_a_batch_does_not_matter():
    generator = SeriesGenerator(GeneratorConfig(), "train")
    prepared = [prepare(generator[i], TOKENIZER, 4) for i in range(5)]
    torch.manual_seed(0)
    encoder, words = SeriesEncoder(CONFIG), torch.nn.Embedding(TOKENIZER.vocab_size, 12)

    def embed(batch: SeriesBatch) -> torch.Tensor:
        return splice(words(batch.tokens), encoder(batch.patches, batch.start), batch.positions)

    together = embed(collate(prepared))
    for row, one in enumerate(prepared):
        alone = embed(collate([one]))[0]
        torch.testing.assert_close(together[row, : len(alone)], alone)
        assert together[row, len(alone) :].eq(0).all()


def test_a_loss_on_the_answer_trains_the_encoder():
    generator = SeriesGenerator(GeneratorConfig(kinds=("trend",)), "train")
    batch = collate([prepare(generator[i], TOKENIZER, 4) for i in range(4)])
    encoder, words = SeriesEncoder(CONFIG), torch.nn.Embedding(TOKENIZER.vocab_size, 12)
    x = splice(words(batch.tokens), encoder(batch.patches, batch.start), batch.positions)
    logits = x.cumsum(1)[batch.labels != IGNORED] @ words.weight.T
    torch.nn.functional.cross_entropy(logits, batch.labels[batch.labels != IGNORED]).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_a_question_about_one_s_own_series_needs_no_answer():
    values = np.linspace(0, 3, 10, dtype=np.float32)[:, None]
    tokens, slots, (patches, start, runs) = prepare_prompt(
        NamedSeries(values, ("speed",)), "what is the trend of speed ?", TOKENIZER, 4
    )
    assert TOKENIZER.decode(tokens).endswith("<ts> <ts/> answer :")
    assert (len(slots), patches.shape, start.tolist(), runs) == (1, (3, 8), [0, 4, 8], (3,))
