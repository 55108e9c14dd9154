"""How well text is predicted: bits per byte, which no choice of tokenizer flatters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from vla_model.lm.batches import windows
from vla_model.lm.gpt import GPT
from vla_model.lm.tokenizer import Tokenizer

TOGETHER = 16  # windows


@torch.inference_mode()
def bits_per_byte(model: GPT, tokenizer: Tokenizer, documents: Sequence[str]) -> float:
    """Mean bits for a byte of text, each document from its beginning.

    Every byte is predicted once, from up to a whole context before it and, past the start of a document, at
    least half of one.
    """
    begin, length = tokenizer.special("<|begin|>"), model.config.context
    rows = [w for d in documents for w in windows([begin, *tokenizer.encode(d)], length)]
    rows.sort(key=lambda row: len(row[0]))
    bits = 0.0
    for start in range(0, len(rows), TOGETHER):
        bits += _bits(model, rows[start : start + TOGETHER])
    return bits / max(1, sum(len(d.encode()) for d in documents))


def _bits(model: GPT, rows: Sequence[tuple[list[int], int]]) -> float:
    """Of the last targets of each window, as many as are new."""
    longest = max(len(tokens) for tokens, _ in rows)
    table = np.zeros((len(rows), longest), np.int64)
    counted = np.zeros((len(rows), longest - 1), bool)
    for i, (tokens, fresh) in enumerate(rows):
        table[i, : len(tokens)] = tokens
        counted[i, len(tokens) - 1 - fresh : len(tokens) - 1] = True
    tokens = torch.from_numpy(table)
    logits = model(tokens[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return float(loss[torch.from_numpy(counted).flatten()].double().sum()) / math.log(2)
