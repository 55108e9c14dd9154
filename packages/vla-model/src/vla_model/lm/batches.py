"""Tokens in a row on disk, and batches cut from them: a pure function of the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_model.lm.tokenizer import Tokenizer

TOGETHER = 256  # documents encoded at once


def write_tokens(
    documents: Sequence[str], tokenizer: Tokenizer, path: Path, on_progress: OnProgress = no_progress
) -> int:
    """All documents, each after "<|begin|>", as one row of uint32; how many there are."""
    begin, count = tokenizer.special("<|begin|>"), 0
    with atomic_path(path) as part, part.open("wb") as handle:
        for start in range(0, len(documents), TOGETHER):
            some = documents[start : start + TOGETHER]
            for ids in tokenizer.encode_many(some):
                np.array([begin, *ids], "<u4").tofile(handle)
                count += len(ids) + 1
            on_progress(Progress("encode", start + len(some), len(documents), "documents"))
    return count


class TokenBatches:
    """Windows of a row of tokens, drawn anew for every step, `tokens` int64 [B, T + 1].

    Raises:
        DataError: the row is shorter than a window.
    """

    def __init__(self, path: Path, batch_size: int, length: int, seed: int = 0) -> None:
        self.tokens = np.memmap(path, "<u4", "r") if path.stat().st_size else np.zeros(0, "<u4")
        self.batch_size, self.length, self.seed = batch_size, length, seed
        if len(self.tokens) <= length:
            raise DataError(
                "there are too few tokens",
                where=str(path),
                expected=f"more than {length}",
                got=str(len(self.tokens)),
                next_step="give more text, or a shorter context: --set context=128",
            )

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, step))
        starts = rng.integers(0, len(self.tokens) - self.length, self.batch_size)
        rows = self.tokens[starts[:, None] + np.arange(self.length + 1)]
        return {"tokens": torch.from_numpy(rows.astype(np.int64))}


def windows(tokens: Sequence[int], length: int) -> Iterator[tuple[list[int], int]]:
    """The row in windows of at most `length` + 1 that overlap by half; and how many targets of each are new.

    Every token but the first is a target once, with at least half a window before it (but at the start).
    """
    start, done = 0, 1
    while done < len(tokens):
        stop = min(len(tokens), start + length + 1)
        yield list(tokens[start:stop]), stop - done
        done, start = stop, start + length // 2
