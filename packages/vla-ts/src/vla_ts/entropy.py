"""Bits of codes under an ideal entropy coder that never saw them.

Tables of probabilities are learnt from the codes of the training chunks, one per position, without any
memory of the codes before (zero order); the bits of held-out codes are −log₂ of theirs. A position's table
leans on the one shared by all positions, and that one on the uniform, each by a pseudo-count (MacKay and
Bauman Peto 1995, "A hierarchical Dirichlet language model"); both are chosen on the training codes by
learning from every other stretch of them and testing on the rest. So a large vocabulary pays for what it
has not seen, which the entropy of the held-out codes themselves (`entropies`) hides in small data.

A codec whose chunks differ in length pays for the end of each as for one more code.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from jaxtyping import Float64, Int64

STRETCHES = 20
PSEUDO_COUNTS = 10.0 ** np.arange(-3.0, 3.6, 0.5)


class CodeTables:
    """Probabilities of codes at each position.

    Args:
        counts: how often each symbol was seen at each position, float64 [positions, symbols].
        lean: pseudo-count of the shared table behind each position's.
        flat: pseudo-count per symbol of the uniform behind the shared table.
        ends: whether the last symbol stands for the end of a chunk's codes.
    """

    def __init__(
        self, counts: Float64[np.ndarray, "positions symbols"], lean: float, flat: float, ends: bool
    ) -> None:
        self.counts, self.lean, self.flat, self.ends = counts, lean, flat, ends

    @classmethod
    def learn(cls, codes: Int64[np.ndarray, "n tokens"], vocab_size: int, ends: bool) -> Self:
        """Tables from the codes of training chunks, in the order of their episodes."""
        symbols = _with_end(codes, vocab_size) if ends else codes
        size = vocab_size + int(ends)
        odd = np.arange(len(symbols)) * STRETCHES // max(1, len(symbols)) % 2 == 1
        trials = [
            _costs(_count(symbols[a], size), symbols[b]) for a, b in ((odd, ~odd), (~odd, odd)) if a.any()
        ]
        costs = np.sum(trials, axis=0) if trials else np.zeros((1, 1))
        lean, flat = (PSEUDO_COUNTS[i] for i in np.unravel_index(costs.argmin(), costs.shape))
        return cls(_count(symbols, size), float(lean), float(flat), ends)

    def bits(self, codes: Int64[np.ndarray, "n tokens"]) -> Float64[np.ndarray, "n"]:
        """Bits of each row of codes, its end included where chunks differ in length."""
        symbols = _with_end(codes, self.counts.shape[1] - 1) if self.ends else codes
        seen = _Seen(self.counts, symbols)
        result = np.zeros(len(symbols))
        np.add.at(result, seen.row, -np.log2(seen.shares(self.lean, self.flat)))
        return result


class _Seen:
    """What counts say of some symbols: of each one's symbol and position, and in all."""

    def __init__(self, counts: np.ndarray, symbols: np.ndarray) -> None:
        self.row, position = np.nonzero(symbols >= 0)
        symbol = symbols[self.row, position]
        # A position beyond those learnt from knows nothing of its own.
        known = np.concatenate([counts, np.zeros((max(0, symbols.shape[1] - len(counts)), counts.shape[1]))])
        self.here, self.at_position = known[position, symbol], known.sum(1)[position]
        self.shared, self.total, self.size = counts.sum(0)[symbol], counts.sum(), counts.shape[1]

    def shares(self, lean: float, flat: float) -> np.ndarray:
        shared = (self.shared + flat) / (self.total + flat * self.size)
        return (self.here + lean * shared) / (self.at_position + lean)


def _costs(counts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Bits of `symbols` for every pair of pseudo-counts."""
    seen = _Seen(counts, symbols)
    return np.array(
        [[-np.log2(seen.shares(lean, flat)).sum() for flat in PSEUDO_COUNTS] for lean in PSEUDO_COUNTS]
    )


def _count(symbols: np.ndarray, size: int) -> np.ndarray:
    columns = [np.bincount(c[c >= 0], minlength=size) for c in symbols.T]
    return np.array(columns, np.float64).reshape(len(columns), size)


def _with_end(codes: np.ndarray, end: int) -> np.ndarray:
    """The codes, with one more symbol behind the last of each row."""
    longer = np.concatenate([codes, np.full((len(codes), 1), -1)], axis=1)
    longer[np.arange(len(codes)), (codes >= 0).sum(axis=1)] = end
    return longer


def entropies(codes: Int64[np.ndarray, "n tokens"], vocab_size: int) -> Float64[np.ndarray, "tokens"]:
    """Bits of the code at each position from how often each is seen there; padding is left out."""
    counts = _count(codes, vocab_size)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return -np.sum(np.where(shares > 0, shares * np.log2(np.where(shares > 0, shares, 1)), 0), axis=1)
