"""Questions about scenes: their answers, and a model that learns to give them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_data.errors import CheckpointError, ConfigError, DataError
from vla_model.align.checkpoint import load_scene_model, save_scene_model
from vla_model.align.config import AlignConfig
from vla_model.align.grounding import Taught, compared_table, facts_table, named_table, of_kind
from vla_model.align.network import SceneModel, answered, names_of, question_batch
from vla_model.align.questions import TAUGHT, Facts, Question, ask, ask_some, caption, facts_of
from vla_model.align.series import SeriesAlignConfig
from vla_model.lm.config import GPTConfig
from vla_model.lm.gpt import GPT, IGNORED
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder import EncoderConfig, FeatureConfig, VideoEncoder
from vla_vision.encoder.checkpoint import EncoderRecord
from vla_vision.encoder.tokens import Tokens
from vla_vision.perception import SightConfig

FACTS = Facts(
    ("red ball", "blue ball", "red can"),
    np.array([[-0.3, 0, 1.0], [0.1, 0, 1.5], [0.4, 0, 1.02]], np.float32),
    np.array([[0.3, 0, 0], [0, 0, 0], [0, 0, 0.1]], np.float32),
)
TRUE = {
    "How many things are there?": "3",
    "How many red things are there?": "2",
    "How many blue things are there?": "1",
    "How many balls are there?": "2",
    "How many cans are there?": "1",
    "Is the red ball left of the blue ball?": "yes",
    "Is the red can left of the blue ball?": "no",
    "Which is further right, the red ball or the red can?": "second, the red can",
    "Which is nearer, the blue ball or the red ball?": "second, the red ball",
    "Is the blue ball nearer than the red can?": "no",
    "Is the red ball moving?": "yes",
    "Is the blue ball moving?": "no",
    "Which is faster, the red can or the red ball?": "second, the red ball",
    "Where is the red ball?": "right -3, ahead 10",
    "How fast is the red ball?": "3",
}


def all_questions(facts: Facts) -> dict[str, str]:
    found = {}
    for seed in range(600):
        rng = np.random.default_rng(seed)
        question = ask(facts, rng, TAUGHT[seed % 5])
        if question is not None:
            assert found.setdefault(question.text, question.answer) == question.answer
    return found


def test_answers_are_true():
    found = all_questions(FACTS)
    assert TRUE.items() <= found.items()


def test_what_is_not_clear_is_not_asked():
    found = all_questions(FACTS)
    for text in found:
        assert not ("nearer" in text and "red ball" in text and "red can" in text), text
    lonely = Facts(("red ball",), np.zeros((1, 3), np.float32), np.full((1, 3), 0.02, np.float32))
    assert ask(lonely, np.random.default_rng(0), "relation") is None
    assert ask(lonely, np.random.default_rng(0), "speed") is None


def test_the_two_answers_of_a_choice_come_as_often():
    counts = Counter()
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        facts = Facts(
            ("red ball", "blue ball"),
            rng.uniform(-1, 1, (2, 3)).astype(np.float32),
            rng.uniform(-1, 1, (2, 3)).astype(np.float32),
        )
        question = ask(facts, rng, "relation")
        if question is not None and question.text.startswith("Is the red ball left"):
            counts[question.answer] += 1
    assert 0.4 < counts["yes"] / sum(counts.values()) < 0.6


def test_questions_of_a_scene_differ_and_a_caption_goes_from_left_to_right():
    some = ask_some(FACTS, np.random.default_rng(0), 6)
    assert len({q.text for q in some}) == len(some) == 6
    assert caption(FACTS) == "From left to right: a red ball, a blue ball, a red can."


def test_episodes_without_labels_are_refused(toy_source):
    with pytest.raises(DataError, match="without labels"):
        facts_of(toy_source[0], "front")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([*TRUE, "yes no the red ball 1 2 3"], 400)


def small(tokenizer: Tokenizer, blind: bool = False) -> SceneModel:
    torch.manual_seed(0)
    features = FeatureConfig(16, 16, rows=2, look_dim=4)
    config = EncoderConfig(features, 16, "patches", 1, ("rgb",), 2, 4, 16, 0, 2)
    gpt = GPT(GPTConfig(tokenizer.vocab_size, 2, 32, 2, 64))
    return SceneModel(VideoEncoder(config), gpt, 16, [], blind)


def scenes(count: int) -> dict[str, torch.Tensor]:
    """Pictures that are dark or bright."""
    bright = torch.arange(count) % 2
    rgb = (bright * 200)[:, None, None, None, None].expand(-1, 1, 16, 16, 3).to(torch.uint8)
    return {"rgb": rgb}


def test_a_question_teaches_its_answer_alone(tokenizer):
    questions = [Question("count", "How many balls are there?", "2"), Question("depth", "Which?", "the can")]
    batch = question_batch(tokenizer, 3, questions, 64)
    video, end = tokenizer.special("<|video|>"), tokenizer.special("<|end|>")
    assert ((batch["tokens"] == video).sum(1) == 3).all()
    for row, question in enumerate(questions):
        targets = batch["targets"][row]
        said = targets[targets != IGNORED].tolist()
        assert said == [*tokenizer.encode(question.answer), end]
        places = torch.nonzero(targets != IGNORED)[:, 0]
        assert batch["tokens"][row, places + 1].tolist() == said
        assert int(torch.nonzero(batch["tokens"][row] == video)[-1]) < int(places[0])
    with pytest.raises(ConfigError, match="longer than the context"):
        question_batch(tokenizer, 60, questions, 64)


def test_what_is_seen_stands_where_the_marks_are(tokenizer):
    model = small(tokenizer).eval()
    questions = [Question("depth", "Which?", "the can"), Question("count", "How many balls are there?", "2")]
    batch = question_batch(tokenizer, 2, questions, 64)
    tokens = batch["tokens"][:, :-1]
    seen = torch.randn(2, 2, 32)
    torch.nn.init.normal_(model.gpt.head.weight)
    with torch.inference_mode():
        together = model.logits(seen, tokens)
        alone = torch.cat([model.logits(seen[i : i + 1], tokens[i : i + 1]) for i in range(2)])
        other = model.logits(seen.flip(0), tokens)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    before = int((tokens[0] == tokenizer.special("<|video|>")).nonzero()[0])
    torch.testing.assert_close(together[0, :before], other[0, :before])
    assert not torch.allclose(together[0, before:], other[0, before:])


def learn(model: SceneModel, tokenizer: Tokenizer, steps: int = 120) -> torch.Tensor:
    questions = [Question("count", "Is it?", ("no", "yes")[i % 2]) for i in range(8)]
    shapes = {"named": (8, 0), "facts": (8, 0, 3), "compared": (8, 3)}
    nothing = {name: torch.zeros(shape, dtype=torch.long) for name, shape in shapes.items()}
    batch = {**scenes(8), **question_batch(tokenizer, 2, questions, 64), "scene": torch.arange(8), **nothing}
    taught = Taught(model, 0.5, 1.0, 0.5)
    optimiser = torch.optim.AdamW(taught.parameters(), 3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        taught.training_loss(batch)["loss"].backward()
        optimiser.step()
    with torch.inference_mode():
        return answered(model.eval(), model.seen(batch), batch)


def test_a_model_that_sees_learns_what_a_blind_one_cannot(tokenizer):
    assert learn(small(tokenizer), tokenizer).all()
    assert learn(small(tokenizer, blind=True), tokenizer).float().mean() == 0.5


def test_questions_name_what_they_ask_about():
    for seed in range(300):
        question = ask(FACTS, np.random.default_rng(seed), TAUGHT[seed % 5])
        if question is None:
            continue
        for name in FACTS.names:
            named = name in question.first + question.second
            assert named == (name in question.text) or question.kind == "count"
        if question.kind == "count":
            assert len(question.first) == int(question.answer)
        if question.second:
            assert question.text.index(question.first[0]) < question.text.index(question.second[0])


CLASSES = ("blue ball", "red ball", "green cube", "red can")


def test_tables_say_what_a_thing_of_a_class_is_to_be_told():
    pair = Question("depth", "", "", ("red ball",), ("red can",))
    many = Question("count", "", "", ("red ball", "blue ball", "purple can"))
    assert named_table([pair, many], CLASSES).tolist() == [[0, 1, 0, 2], [1, 1, 0, 0]]
    twice = Facts(("red ball", "red ball", "red can"), FACTS.position, FACTS.velocity)
    far = Facts(("red can",), np.array([[9, 0, 9]], np.float32), np.array([[9, 9, 9]], np.float32))
    table = facts_table([FACTS, twice, far], CLASSES)
    assert table[0].tolist() == [[11, 15, 0], [7, 10, 3], [IGNORED] * 3, [14, 10, 1]]
    assert table[1, 1].tolist() == [IGNORED] * 3
    assert table[2, 3].tolist() == [20, 30, 9]
    kinds = torch.tensor([[1, 3, -1, 9]])
    assert of_kind(table[:1, :, 0], kinds, IGNORED).tolist() == [[7, 14, IGNORED, IGNORED]]


def test_two_things_are_compared_only_where_they_differ():
    """Red ball: left, near, fast; blue ball: far, still; red can: right, as near as the red ball."""

    def pair(first: str, second: str) -> Question:
        return Question("depth", "", "", (first,), (second,))

    twice = Facts(("red ball", "red ball", "red can"), FACTS.position, FACTS.velocity)
    questions = [pair("red ball", "blue ball"), pair("blue ball", "red ball"), pair("red can", "red ball")]
    table = compared_table(
        [*questions, questions[2], Question("count", "", "")], [FACTS] * 3 + [twice, FACTS]
    )
    expected = [[0, 0, 1], [1, 1, 0], [1, IGNORED, 0], [IGNORED] * 3, [IGNORED] * 3]
    assert table.tolist() == expected


def test_a_comparison_is_told_at_the_later_of_two_things_seen_once(tokenizer):
    taught = Taught(small(tokenizer), 0.0, 0.0, 1.0)
    named = named_table([Question("depth", "", "", ("red ball",), ("red can",))], CLASSES)
    told = torch.tensor([[1, IGNORED, 0]])

    def loss(kinds: list[int], things: torch.Tensor) -> float:
        return float(taught._compared(things, torch.tensor([kinds]), named, told).detach())

    one, other = torch.randn(1, 3, 32), torch.randn(1, 3, 32)
    both = other.clone()
    both[:, 2] = one[:, 2]
    assert loss([3, 0, 1], one) == pytest.approx(loss([3, 0, 1], both))  # the red ball tells
    assert loss([3, 0, 1], one) != pytest.approx(loss([3, 1, 0], one))
    assert loss([3, 1, 1], one) == loss([3, 0, -1], one) == 0


def test_things_learn_their_part_and_their_place_and_doubles_are_left_out(tokenizer):
    """The losses at the things reach the tokens of the question, and a thing seen twice has no place."""
    torch.manual_seed(0)
    features = FeatureConfig(16, 16, rows=3, look_dim=4, class_names=CLASSES)
    config = EncoderConfig(features, 16, "objects", 1, ("rgb",), 2, 4, 16, 0, 2)
    gpt = GPT(GPTConfig(tokenizer.vocab_size, 2, 32, 2, 64))
    taught = Taught(SceneModel(VideoEncoder(config), gpt, 16, names_of(tokenizer, CLASSES)), 1.0, 1.0, 1.0)
    things = torch.randn(1, 3, 32)
    table = facts_table([FACTS], CLASSES)
    once = taught._placed(things, torch.tensor([[1, 3, 0]]), table)
    double = taught._placed(things, torch.tensor([[1, 1, 0]]), table)
    alone = taught._placed(things, torch.tensor([[-1, -1, 0]]), table)
    assert once != double
    torch.testing.assert_close(double, alone)
    nothing = taught._placed(things, torch.tensor([[-1, -1, -1]]), table)
    assert float(nothing.detach()) == 0
    groups = taught.optimizer_groups()
    assert sum(len(g["params"]) for g in groups) == len(list(taught.parameters()))


def test_an_aligned_model_comes_back_and_a_flipped_byte_is_refused(tokenizer, tmp_path: Path):
    model = small(tokenizer)
    record = EncoderRecord(model.encoder.config, SightConfig(look="none"))
    save_scene_model(tmp_path / "scene", model.eval(), tokenizer, record)
    again, _, _ = load_scene_model(tmp_path)
    seen = scenes(2)
    with torch.inference_mode():
        torch.testing.assert_close(again.seen(seen), model.seen(seen))
    path = tmp_path / "scene" / "projector.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_scene_model(tmp_path)
    with pytest.raises(CheckpointError, match="no aligned model"):
        load_scene_model(tmp_path / "nowhere")


@pytest.mark.parametrize("config", [AlignConfig(), SeriesAlignConfig()])
@pytest.mark.parametrize("which", ["first", "both"])
def test_an_alignment_trains_twice_and_so_on_one_device(config, which):
    with pytest.raises(ConfigError, match="several devices"):
        replace(config, **{which: replace(getattr(config, which), devices=2)})


def test_what_was_detected_is_called_by_the_words_for_its_class(tokenizer):
    torch.manual_seed(0)
    names = names_of(tokenizer, ["red ball", "can"])
    features = FeatureConfig(16, 16, rows=2, look_dim=4, class_names=("red ball", "can"))
    config = EncoderConfig(features, 16, "objects", 1, ("rgb",), 2, 4, 16, 0, 2)
    gpt = GPT(GPTConfig(tokenizer.vocab_size, 2, 32, 2, 64))
    model = SceneModel(VideoEncoder(config), gpt, 16, names)
    called = model.called(torch.tensor([[0, 1, -1, 2]]))
    for row, words in enumerate(names):
        expected = gpt.embedded(torch.tensor([words])).sum(dim=1)[0]
        torch.testing.assert_close(called[0, row], expected)
    assert not called[0, 2:].any()  # no class, and one that has no words
    values, mask = torch.randn(1, 1, 16).expand(1, 2, 16), torch.ones(1, 2, dtype=torch.bool)
    kinds = torch.tensor([[0, 1]])
    told = model.given(Tokens(values, mask, kinds, kinds))
    assert not torch.allclose(told[0, 0], told[0, 1], atol=1e-3)  # alike but for their class
