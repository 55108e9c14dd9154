"""`vla model tokenizer | pretrain | instruct | chat`: a small language model, from text to talk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.output import emit, hint
from vla_cli.parser import example

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_model.lm.tokenizer import Tokenizer

TOKENIZER_EXAMPLE = example("vla model tokenizer --text books/ --out runs/tokenizer")
PRETRAIN_EXAMPLE = example("vla model pretrain --text books/ --depth 4 --out runs/lm")
INSTRUCT_EXAMPLE = example("vla model instruct runs/lm --out runs/assistant")
CHAT_EXAMPLE = example('vla model chat runs/lm --prompt "The robot"')

Texts = Annotated[
    list[Path],
    typer.Option("--text", metavar="PATH", help="Text file, parquet file or directory; may be repeated."),
]
VocabSize = Annotated[
    int | None, typer.Option("--vocab-size", metavar="N", min=1, help="Tokens; default: 4096.")
]
Codes = Annotated[
    int | None,
    typer.Option("--codes", metavar="N", min=0, help="Action codes that get a token; default: none."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla model`."""
    app.command("tokenizer", epilog=TOKENIZER_EXAMPLE)(tokenizer)
    app.command("pretrain", epilog=PRETRAIN_EXAMPLE)(pretrain)
    app.command("instruct", epilog=INSTRUCT_EXAMPLE)(instruct)
    app.command("chat", epilog=CHAT_EXAMPLE)(chat)


def tokenizer(
    text: Texts,
    out: o.Out,
    vocab_size: VocabSize = None,
    codes: Codes = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a byte-level BPE tokenizer on text."""
    from vla_model.lm.corpus import read_corpus
    from vla_model.lm.vocabulary import PRESETS, train_tokenizer

    chosen = o.make_config(PRESETS, preset, config, set_, vocab_size=vocab_size, codes=codes)

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        return train_tokenizer(read_corpus(text, chosen.holdout, on_progress), chosen, out)

    stages.run("tokenizer", out, _told(chosen, text), stages.input_stages(*text), work, as_json)


def pretrain(
    text: Texts,
    out: o.Out,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=1, help="The one dial; width, batch and more follow."),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option("--tokens", metavar="N", min=1, help="Trained on; default: 20 for every weight."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option("--tokenizer", metavar="DIR", help="Run of `vla model tokenizer`."),
    ] = None,
    procedures: Annotated[
        int | None,
        typer.Option("--procedures", metavar="N", min=0, help="Made-up procedures read beside the text."),
    ] = None,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Pre-train a small language model on text, from nothing; writes OUT/model."""
    from vla_model.lm.corpus import read_corpus
    from vla_model.lm.pretraining import PRESETS, pretrain

    fit = o.given(device=device, seed=seed)
    given = {"depth": depth, "tokens": tokens, "procedures": procedures, "fit": fit}
    chosen = o.make_config(PRESETS, preset, config, set_, **given)
    known = _tokenizer(tokenizer)

    def work(on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        corpus = read_corpus(text, chosen.holdout, on_progress)
        return pretrain(corpus, chosen, out, on_progress, tokenizer=known)

    inputs = stages.input_stages(*text, *([tokenizer] if tokenizer else []))
    stages.run("pretrain", out, _told(chosen, text), inputs, work, as_json)


def instruct(
    start: Annotated[Path, typer.Argument(metavar="RUN", help="Run of `vla model pretrain`.")],
    out: o.Out,
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Teach a language model to answer a task with a checklist; judge it on families it never saw."""
    from vla_model.lm.instructing import PRESETS, instruct

    chosen = o.make_config(PRESETS, preset, config, set_, fit=o.given(device=device, seed=seed))
    work = lambda on: instruct(start, chosen, out, on)  # noqa: E731
    stages.run("instruct", out, chosen, stages.input_stages(start), work, as_json, tables=True)


def _told(config: Any, texts: list[Path]) -> dict[str, Any]:
    """A stage's whole configuration: text is known by its path."""
    return {"text": [str(t) for t in texts], "config": config}


def _tokenizer(directory: Path | None) -> Tokenizer | None:
    if directory is None:
        return None
    from vla_model.lm.tokenizer import Tokenizer

    return Tokenizer.load(directory)


def chat(
    model: Annotated[Path, typer.Argument(metavar="RUN", help="Run of `vla model pretrain` or `instruct`.")],
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="Answer this and end; default: every line.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Most tokens of an answer.")
    ] = 128,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="X", min=0.0, help="0 takes the most probable token.")
    ] = 0.8,
    seed: o.Seed = None,
    as_json: o.AsJson = False,
) -> None:
    """Talk to a language model; one that was only pre-trained goes on from what you write."""
    from vla_model.lm.chat import go_on, reply
    from vla_model.lm.checkpoint import load_lm
    from vla_model.lm.sampling import SampleConfig

    loaded, spoken, stage = load_lm(model)
    talks = stage == "instruct"
    config = SampleConfig(max_tokens, temperature, seed=seed or 0)
    if prompt is None and sys.stdin.isatty():
        hint("type a beginning and press Enter; end with Ctrl-D")
    for line in [prompt] if prompt is not None else sys.stdin:
        asked = line.rstrip("\n")
        said = (reply if talks else go_on)(loaded, spoken, asked, config)
        shown = said if talks else asked + said
        emit({"prompt": asked, "answer": said}, as_json, lambda to, s=shown: to.print(s, markup=False))
