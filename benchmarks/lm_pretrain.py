"""A language model trained from nothing in about ten minutes of a CPU, on real text and made-up procedures.

Real text: Debian's `perl-doc`, 9 MB of manuals, looked for as build/perl-doc:

    apt-get download perl-doc
    dpkg-deb -x perl-doc_*.deb build/perl-doc

Bits per byte are of held-out parts of that text alone. Peer: an interpolated Kneser-Ney n-gram of five bytes
(and of eight) on the same text. Then the model is taught to answer tasks with checklists; those of families
that no training showed are judged by the grammar's own verifier, beside the checklist of the nearest trained
task with the nouns of this one put in.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from _frame import Check, run
from _ngram import NGram
from vla_data.protocols import Progress
from vla_model.lm.corpus import Corpus, read_corpus
from vla_model.lm.instructing import TEST_STREAM, InstructConfig, instruct
from vla_model.lm.pretraining import PretrainConfig, pretrain
from vla_model.procedures.documents import documents, judge, question
from vla_model.procedures.families import HELD_OUT, TRAINED, Procedure, make_procedure
from vla_model.procedures.wording import BOX, checklist

TEXT = Path(__file__).resolve().parents[1] / "build" / "perl-doc"
PROCEDURES, TOKENS = 20_000, 2_400_000
ORDER, LONGER = 5, 8
REMEMBERED = 4000  # training procedures that retrieval looks through
PASS = 0.7


def main(smoke: bool) -> list[Check]:
    """Pre-training, then fine-tuning; without the package only the procedures stand for text."""
    real = TEXT.is_dir() and not smoke
    corpus = read_corpus([TEXT]) if real else _made_up()
    config = PretrainConfig(depth=4, tokens=TOKENS, procedures=PROCEDURES)
    taught = InstructConfig()
    if smoke:
        config = replace(config, depth=1, tokens=20_000, procedures=100, vocab_size=600)
        taught = replace(taught, judged=4, fit=replace(taught.fit, steps=5))
    with tempfile.TemporaryDirectory() as folder:
        base, after = Path(folder) / "base", Path(folder) / "after"
        base.mkdir()
        after.mkdir()
        read, _ = pretrain(corpus, config, base, _say)
        learnt, _ = instruct(base, taught, after, _say)
    checks = [*_bits(corpus, read, smoke, real), *_checklists(learnt, taught.judged, smoke)]
    if not real:
        print(f"{TEXT} is not there: real text is left out", file=sys.stderr)
    return checks


def _say(progress: Progress) -> None:
    if progress.done % 100 == 0:
        print(progress, file=sys.stderr)


def _made_up() -> Corpus:
    texts = list(documents(300, 7))
    return Corpus(tuple(texts[30:]), tuple(texts[:30]))


def _bits(corpus: Corpus, read: dict, smoke: bool, real: bool) -> list[Check]:
    found = {order: NGram(corpus.train, order).bits_per_byte(corpus.held) for order in (ORDER, LONGER)}
    own = read["bits_per_byte"]
    name = "held-out real text" if real else "held-out made-up text"
    peer = ", ".join(f"Kneser-Ney {order} {bits:.3f}" for order, bits in found.items())
    size = f"{read['parameters']:,} parameters, {read['tokens_seen']:,} tokens, {read['train_seconds']:.0f} s"
    said = f"{peer}; {size}"
    goal = f"< Kneser-Ney {ORDER}"
    return [Check(f"{name}: bits per byte", own, "", goal, said, smoke or not real or own < found[ORDER])]


def _checklists(learnt: dict, count: int, smoke: bool) -> list[Check]:
    held, trained = learnt["held_out_families"], learnt["trained_families"]
    share, retrieved = held["passed"] / held["of"], _retrieved(count)
    low, high = held["interval"]
    said = (
        f"nearest training procedure, its nouns replaced {retrieved:.3f}; 95% {low:.3f}–{high:.3f}, "
        f"n {held['of']}; trained families {trained['passed'] / trained['of']:.3f}; "
        f"{learnt['train_seconds']:.0f} s"
    )
    good = share >= PASS and share > retrieved
    return [Check("held-out families: checklists that pass", share, "", f">= {PASS:g}", said, smoke or good)]


def _retrieved(count: int) -> float:
    """Share of held-out tasks done by the checklist of the nearest trained one, with its nouns replaced."""
    known = [
        make_procedure(list(TRAINED)[i % len(TRAINED)], np.random.default_rng((9, i)))
        for i in range(REMEMBERED)
    ]
    bags = [_bag(p) for p in known]
    passed = 0
    for i in range(count):
        made = make_procedure(list(HELD_OUT)[i % len(HELD_OUT)], np.random.default_rng((0, TEST_STREAM, i)))
        bag = _bag(made)
        nearest = known[int(np.argmax([_likeness(bag, other) for other in bags]))]
        passed += not judge(made, _substituted(nearest, made))
    return passed / count


def _bag(procedure: Procedure) -> Counter[str]:
    """Words that are not nouns of this scene: what is asked, and how things stand."""
    text = question(procedure)
    for noun in sorted(_nouns(procedure), key=len, reverse=True):
        text = text.replace(noun, "thing")
    return Counter(text.lower().split())


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    return sum((one & other).values()) / max(1, sum((one | other).values()))


def _nouns(procedure: Procedure) -> list[str]:
    """Things of the scene in the order the task and then the scene name them."""
    world = procedure.world
    known = [*world.at, *world.surfaces, *world.containers, *world.devices]
    text = f"{procedure.task} {question(procedure)}"
    return sorted((n for n in set(known) if n in text), key=text.index)


def _substituted(nearest: Procedure, made: Procedure) -> str:
    """The nearest checklist, each noun replaced by the one of its kind that stands in its place here."""
    kinds = (
        lambda p, n: n in p.world.surfaces,
        lambda p, n: n in p.world.containers,
        lambda p, n: n in p.world.devices,
        lambda p, n: n in p.world.tools.values(),
        lambda p, n: n in p.world.locked.values(),
    )
    kind = lambda p, n: next((i for i, is_kind in enumerate(kinds) if is_kind(p, n)), len(kinds))  # noqa: E731
    renamed: dict[str, str] = {}
    for number in range(len(kinds) + 1):
        ours = [n for n in _nouns(made) if kind(made, n) == number]
        theirs = [n for n in _nouns(nearest) if kind(nearest, n) == number]
        renamed |= dict(zip(theirs, ours, strict=False))
    text = checklist(nearest.actions, nearest.world)
    for i, old in enumerate(sorted(renamed, key=len, reverse=True)):
        text = text.replace(f"the {old}", f"the \0{i}\0")
    for i, old in enumerate(sorted(renamed, key=len, reverse=True)):
        text = text.replace(f"\0{i}\0", renamed[old])
    return text if text.startswith(BOX) else ""


if __name__ == "__main__":
    run(main, "lm_pretrain")
