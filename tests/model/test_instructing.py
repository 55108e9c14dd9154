"""Questions and answers as tokens, and how answers are judged."""

from __future__ import annotations

import numpy as np
import torch
from tests.model.test_lm import SMALL, sentences

from vla_model.lm.chat import chat_batch, prompt_tokens, reply
from vla_model.lm.gpt import GPT, IGNORED
from vla_model.lm.instructing import ExampleBatches, judged
from vla_model.lm.tokenizer import Tokenizer
from vla_model.procedures.documents import document, documents, example, judge, question
from vla_model.procedures.families import HELD_OUT, TRAINED, make_procedure
from vla_model.procedures.wording import checklist, steps_of


def tokenizer() -> Tokenizer:
    return Tokenizer.train([sentences(200), *documents(60, 0)], 400)


def test_only_answers_are_learned():
    spoken = tokenizer()
    pairs = [("the arm", "opens"), ("red mug over", "it turns slowly")]
    batch = chat_batch(spoken, pairs, 100)
    end = spoken.special("<|end|>")
    for i, (asked, answer) in enumerate(pairs):
        learned = batch["targets"][i][batch["targets"][i] != IGNORED].tolist()
        assert learned == [*spoken.encode(answer), end]
        prompt = prompt_tokens(spoken, asked)
        assert batch["tokens"][i, : len(prompt)].tolist() == prompt
        first = int((batch["targets"][i] != IGNORED).nonzero()[0])
        assert first == len(prompt) - 1  # said at the assistant's own token
    short = chat_batch(spoken, pairs, 6)
    assert short["tokens"].shape == (2, 7)


def test_examples_are_of_trained_families_and_right():
    seen = [example(0, n) for n in range(60)]
    assert seen == [example(0, n) for n in range(60)]
    assert seen != [example(1, n) for n in range(60)]
    whole = [answer for asked, answer in seen if "What is next?" not in asked]
    assert 0 < len(whole) < 60
    assert all(steps_of(answer) for answer in whole)
    assert all("\n" not in answer for asked, answer in seen if "What is next?" in asked)


def test_right_answers_pass_and_others_say_why():
    for family in (*TRAINED, *HELD_OUT):
        made = make_procedure(family, np.random.default_rng(3))
        text = checklist(made.actions, made.world)
        assert judge(made, text) == ""
        assert judge(made, text.replace("- [ ] ", "")) == "there is no checklist"
        assert "says nothing" in judge(made, "- [ ] think\n" + text)
        assert judge(made, "\n".join(text.splitlines()[:-1]) or "- [ ] open the sky")
        assert text in document(made)
        assert text not in question(made)


def test_batches_are_a_function_of_the_step():
    batches = ExampleBatches(tokenizer(), 4, 200, 0)
    one, again, other = batches(3), batches(3), batches(4)
    assert torch.equal(one["tokens"], again["tokens"])
    assert one["tokens"].shape != other["tokens"].shape or not torch.equal(one["tokens"], other["tokens"])


def test_an_untrained_model_does_no_task():
    spoken = tokenizer()
    torch.manual_seed(0)
    model = GPT(SMALL.__class__(400, 1, 32, 2, 400)).eval()
    found = judged(model, spoken, tuple(HELD_OUT), 3, 0)
    assert [p.family for p, _, _ in found] == list(HELD_OUT)[:3]
    assert all(problem for _, _, problem in found)
    assert isinstance(reply(model, spoken, "the arm"), str)


def test_a_question_without_room_counts_as_not_answered():
    spoken = tokenizer()
    torch.manual_seed(0)
    ((_, answer, problem),) = judged(GPT(SMALL).eval(), spoken, tuple(HELD_OUT), 1, 0)
    assert (answer, problem) == ("", "the question is longer than the model's context")
