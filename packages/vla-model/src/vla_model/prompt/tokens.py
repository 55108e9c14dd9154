"""Prompts and answers as tokens, and prompts that are made to fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from vla_data.errors import ConfigError, DataError
from vla_model.lm.tokenizer import SPECIAL, Tokenizer
from vla_model.prompt.parse import parse_answer
from vla_model.prompt.render import END, SERIES, VIDEO, Code, Mark, Piece, as_text, prompt_pieces
from vla_model.prompt.types import Answer, Prompt


def as_tokens(
    pieces: Sequence[Piece], tokenizer: Tokenizer, videos: Sequence[int] = (), series: Sequence[int] = ()
) -> list[int]:
    """Pieces as tokens.

    Args:
        videos, series: how many tokens stand for each of them, in order; 1 each where nothing is given.
            Vectors take the place of these tokens.

    Raises:
        ConfigError: a code has no token.
        DataError: there are more or fewer numbers than marks.
    """
    counts = {VIDEO: list(videos), SERIES: list(series)}
    for mark, given in counts.items():
        there = sum(p == mark for p in pieces if isinstance(p, Mark))
        if given and len(given) != there:
            raise DataError(
                "numbers of tokens do not fit the prompt", where=mark, expected=str(there), got=str(given)
            )
    tokens: list[int] = []
    for piece in pieces:
        if isinstance(piece, Mark):
            waiting = counts.get(piece)
            tokens += [tokenizer.special(piece)] * (waiting.pop(0) if waiting else 1)
        elif isinstance(piece, Code):
            tokens.append(tokenizer.code(piece))
        else:
            tokens += tokenizer.encode(piece)
    return tokens


def answer_of(tokens: Sequence[int], tokenizer: Tokenizer) -> Answer:
    """What a model said, up to the first end.

    Raises:
        DataError: the tokens are no answer.
    """
    end = tokenizer.special(END)
    said = list(tokens[: tokens.index(end)]) if end in tokens else list(tokens)
    return parse_answer(as_text(list(_pieces(said, tokenizer))))


def fitted(prompt: Prompt, budget: int, length: Callable[[Prompt], int]) -> tuple[Prompt, tuple[str, ...]]:
    """The prompt within a budget, and what was left out, in this order and no more than is needed: the
    environment, sub-tasks that are done, cameras' intrinsics and poses, links, joints, half of the past
    actions and again half, all frames of a video but the latest, the past actions, cameras, the robot.

    Task, open sub-tasks, the form of the answer, and the latest pictures stay.

    Args:
        length: tokens of a prompt.

    Raises:
        ConfigError: what stays is longer than the budget.
    """
    left_out: list[str] = []
    steps = _shorter(prompt)
    while length(prompt) > budget:
        step = next(steps, None)
        if step is None:
            raise ConfigError(
                "a prompt does not fit",
                where="prompt",
                expected=f"at most {budget} tokens",
                got=f"{length(prompt)} without {', '.join(left_out) or 'anything to leave out'}",
                next_step="shorten task and checklist, or train with a longer context",
            )
        prompt, name = step
        left_out.append(name)
    return prompt, tuple(left_out)


def text_length(tokenizer: Tokenizer, videos: int = 1, series: int = 1) -> Callable[[Prompt], int]:
    """Tokens of a prompt, where each frame of a video takes `videos` and each series `series`."""

    def length(prompt: Prompt) -> int:
        pieces = prompt_pieces(prompt)
        runs = sum(p == SERIES for p in pieces if isinstance(p, Mark))
        frames = [videos * v.frames for v in prompt.videos]
        return len(as_tokens(pieces, tokenizer, frames, [series] * runs))

    return length


def _shorter(prompt: Prompt) -> Iterator[tuple[Prompt, str]]:
    """The prompt, shorter and shorter; steps that would change nothing are left out."""
    for name, change in _STEPS:
        changed = change(prompt)
        if changed != prompt:
            prompt = changed
            yield prompt, name


_STEPS: tuple[tuple[str, Callable[[Prompt], Prompt]], ...] = (
    ("the environment", lambda p: replace(p, environment="")),
    ("sub-tasks that are done", lambda p: replace(p, checklist=tuple(t for t in p.checklist if not t.done))),
    (
        "intrinsics and poses",
        lambda p: replace(p, cameras=tuple(replace(c, intrinsics=None, pose=None) for c in p.cameras)),
    ),
    ("links", lambda p: replace(p, links=())),
    ("joints", lambda p: replace(p, robot=replace(p.robot, joints=()) if p.robot else None)),
    ("half of the past actions", lambda p: replace(p, past_steps=(p.past_steps + 1) // 2)),
    ("three quarters of the past actions", lambda p: replace(p, past_steps=(p.past_steps + 1) // 2)),
    ("earlier frames", lambda p: replace(p, videos=tuple(replace(v, frames=1) for v in p.videos))),
    ("all past actions", lambda p: replace(p, past_steps=0)),
    ("cameras", lambda p: replace(p, cameras=())),
    ("the robot", lambda p: replace(p, robot=None)),
)


def _pieces(tokens: Sequence[int], tokenizer: Tokenizer) -> Iterator[Piece]:
    """Runs of text, marks and codes; text that a model made look like a mark is text."""
    run: list[int] = []
    for token in [*tokens, None]:
        code = None if token is None else tokenizer.code_of(token)
        special = token is not None and token < len(SPECIAL)
        if (token is None or special or code is not None) and run:
            yield tokenizer.decode(run).replace("<|", "<\\|")
            run = []
        if token is None:
            return
        if special:
            yield Mark(SPECIAL[token])
        elif code is not None:
            yield Code(code)
        else:
            run.append(token)
