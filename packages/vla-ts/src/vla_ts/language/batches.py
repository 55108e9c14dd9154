"""Examples to tensors: text around placeholders to token ids, series to patches, both to splice positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from vla_ts.language.generator import SeriesExample
from vla_ts.language.series import OPEN, NamedSeries, cut_series, describe_series
from vla_ts.language.splicing import SplicePositions, plan_splice
from vla_ts.language.words import TextTokenizer

IGNORED = -100  # label of a place at which nothing is to be predicted
PAD = 0


class PreparedExample(NamedTuple):
    """An example as ids and patches.

    Args:
        tokens: ids of prompt and answer, without the answer's last.
        slots: tokens in front of each run of patches.
        patches, start: of all dimensions, as in `SeriesPatches`.
        runs: patches of each dimension.
        answer: ids of the answer.
    """

    tokens: list[int]
    slots: list[int]
    patches: Float32[np.ndarray, "patches features"]
    start: Int64[np.ndarray, "patches"]
    runs: tuple[int, ...]
    answer: list[int]


class SeriesBatch(NamedTuple):
    """Tensors of a batch; `_asdict()` is what `vla_data.fit` hands to a module.

    Args:
        tokens: ids [B, tokens], 0 behind the end.
        patches: [B, patches, features], 0 behind the end.
        start: step of its series at which a patch begins, [B, patches].
        source: as in `SplicePositions`, [B, spliced].
        labels: the id that comes next at each place of the spliced sequence where it is of the answer,
            -100 elsewhere, [B, spliced].
    """

    tokens: Int64[Tensor, "b tokens"]
    patches: Float32[Tensor, "b patches features"]
    start: Int64[Tensor, "b patches"]
    source: Int64[Tensor, "b spliced"]
    labels: Int64[Tensor, "b spliced"]

    @property
    def positions(self) -> SplicePositions:
        """Where tokens and series embeddings stand."""
        return SplicePositions(self.source, self.tokens.shape[1], self.patches.shape[1])


def prompt_of(question: str, series_text: str) -> str:
    """What a model is asked; the answer comes next."""
    return f"{question} {series_text} answer :"


def prepare(example: SeriesExample, tokenizer: TextTokenizer, patch_len: int) -> PreparedExample:
    """Ids and patches of an example.

    The text is cut behind each `<ts>` and the pieces are tokenised by themselves, so that any tokenizer will
    do: `<ts>` and `<ts/>` stay in the text, and the run of patches stands between them.

    Raises:
        DataError: the series is shorter than one patch.
    """
    tokens, slots, cut = prepare_prompt(example.series, example.question, tokenizer, patch_len)
    answer = tokenizer.encode(example.answer)
    return PreparedExample(tokens + answer[:-1], slots, cut[0], cut[1], cut[2], answer)


def prepare_prompt(
    series: NamedSeries, question: str, tokenizer: TextTokenizer, patch_len: int
) -> tuple[list[int], list[int], tuple[np.ndarray, np.ndarray, tuple[int, ...]]]:
    """Token ids, slots, and (patches, start, runs) of a question about a series that has no answer yet."""
    cut = cut_series(series, patch_len)
    *pieces, rest = prompt_of(question, describe_series(series, cut.scales)).split(OPEN)
    tokens: list[int] = []
    slots = []
    for piece in pieces:
        tokens += tokenizer.encode(piece + OPEN)
        slots.append(len(tokens))
    return tokens + tokenizer.encode(rest), slots, (cut.patches, cut.start, cut.runs)


def collate(examples: Sequence[PreparedExample]) -> SeriesBatch:
    """A batch, padded to its longest text, its most patches and its longest spliced sequence."""
    lengths = [len(e.tokens) for e in examples]
    positions = plan_splice(lengths, [e.slots for e in examples], [e.runs for e in examples])
    tokens = torch.full((len(examples), positions.tokens), PAD)
    patches = torch.zeros((len(examples), positions.patches, examples[0].patches.shape[1]))
    start = torch.zeros((len(examples), positions.patches), dtype=torch.int64)
    labels = torch.full(positions.source.shape, IGNORED)
    places = positions.of_tokens()
    for row, example in enumerate(examples):
        tokens[row, : lengths[row]] = torch.tensor(example.tokens)
        patches[row, : len(example.patches)] = torch.from_numpy(example.patches)
        start[row, : len(example.start)] = torch.from_numpy(example.start)
        first = lengths[row] - len(example.answer)  # the place in front of the answer's first token
        labels[row, places[row, first : lengths[row]]] = torch.tensor(example.answer)
    return SeriesBatch(tokens, patches, start, positions.source, labels)
