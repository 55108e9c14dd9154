"""Where embeddings of series stand in a sequence of text tokens, and the putting there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vla_data.errors import DataError


@dataclass(frozen=True)
class SplicePositions:
    """A batch of spliced sequences as places of what they are made of.

    Args:
        source: [B, spliced]; below `tokens` it is a place in the token sequence, from there on a place in the
            row's series embeddings plus `tokens`, and -1 behind the end.
        tokens: length of the token sequences, padding included.
        patches: length of the rows of series embeddings, padding included.
    """

    source: Int64[Tensor, "b spliced"]
    tokens: int
    patches: int

    @property
    def valid(self) -> Bool[Tensor, "b spliced"]:
        """False behind the end of a sequence."""
        return self.source >= 0

    @property
    def is_series(self) -> Bool[Tensor, "b spliced"]:
        """Where a series embedding stands."""
        return self.source >= self.tokens

    def of_tokens(self) -> Int64[Tensor, "b tokens"]:
        """Where each token went in the spliced sequence; -1 for padding."""
        place = torch.full((len(self.source), self.tokens + 1), -1, device=self.source.device)
        here = torch.arange(self.source.shape[1], device=self.source.device).expand_as(self.source)
        text = self.valid & ~self.is_series
        return place.scatter(1, torch.where(text, self.source, self.tokens), here)[:, :-1]


def plan_splice(
    lengths: Sequence[int], slots: Sequence[Sequence[int]], runs: Sequence[Sequence[int]]
) -> SplicePositions:
    """Positions of a batch.

    Args:
        lengths: tokens of each row's text.
        slots: for each row, the number of tokens in front of each of its runs, in order.
        runs: for each row, the patches of each of its runs.

    Raises:
        DataError: a row has another number of slots than of runs, or a slot lies outside its text.
    """
    tokens, patches = max(lengths, default=0), max((sum(r) for r in runs), default=0)
    spliced = max((n + sum(r) for n, r in zip(lengths, runs, strict=True)), default=0)
    source = torch.full((len(lengths), spliced), -1)
    for row, (length, at, run) in enumerate(zip(lengths, slots, runs, strict=True)):
        _require_slots(row, length, at, run)
        pieces, done, used = [], 0, 0
        for slot, count in zip(at, run, strict=True):
            pieces += [torch.arange(done, slot), torch.arange(tokens + used, tokens + used + count)]
            done, used = slot, used + count
        order = torch.cat([*pieces, torch.arange(done, length)])
        source[row, : len(order)] = order
    return SplicePositions(source, tokens, patches)


def splice(
    token_embeddings: Float[Tensor, "b tokens width"],
    series_embeddings: Float[Tensor, "b patches width"],
    positions: SplicePositions,
) -> Float[Tensor, "b spliced width"]:
    """Both kinds of embeddings in one sequence, zero behind its end. Gradients reach both.

    Raises:
        DataError: the embeddings are not of the batch that the positions were made for.
    """
    expected = ((len(positions.source), positions.tokens), (len(positions.source), positions.patches))
    got = (tuple(token_embeddings.shape[:2]), tuple(series_embeddings.shape[:2]))
    if got != expected or token_embeddings.shape[2] != series_embeddings.shape[2]:
        raise DataError(
            "embeddings and splice positions are of different batches",
            expected=f"tokens {list(expected[0])} and series {list(expected[1])}, of one width",
            got=f"{list(token_embeddings.shape)} and {list(series_embeddings.shape)}",
        )
    both = torch.cat((token_embeddings, series_embeddings.to(token_embeddings.dtype)), 1)
    index = positions.source.clamp(min=0).unsqueeze(-1).expand(-1, -1, both.shape[2])
    return both.gather(1, index) * positions.valid.unsqueeze(-1)


def _require_slots(row: int, length: int, slots: Sequence[int], runs: Sequence[int]) -> None:
    ordered = all(a <= b for a, b in zip((0, *slots), (*slots, length), strict=True))
    if len(slots) != len(runs) or not ordered:
        raise DataError(
            "a text has no place for its series",
            where=f"row {row} of the batch",
            expected=f"{len(runs)} placeholders <ts><ts/>, one for each dimension, in order",
            got=f"places {list(slots)} in {length} tokens",
        )
