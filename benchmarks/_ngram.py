"""A byte n-gram with interpolated Kneser-Ney smoothing, the peer of the language model.

Kneser & Ney 1995; interpolated form and the discount n₁ / (n₁ + 2 n₂): Chen & Goodman 1999. The highest order
counts bytes after contexts, lower ones in how many contexts a byte was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BYTES = 256


@dataclass(frozen=True)
class _Order:
    """Sorted grams of one order with their counts; of each context, its sum and how many bytes followed."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    sums: np.ndarray
    followers: np.ndarray
    discount: float


class NGram:
    """Fitted on texts; `order` bytes a gram, the last of them predicted."""

    def __init__(self, texts: Sequence[str], order: int) -> None:
        if not 1 <= order <= 8:
            raise ValueError(f"grams of 1 to 8 bytes fit a number, not {order}")
        self.order = order
        grams = np.concatenate([_grams(_bytes(t, order), order) for t in texts])
        found, counts = np.unique(grams, return_counts=True)
        self.orders = [_order(found, counts)]
        for n in range(order - 1, 0, -1):
            found, counts = np.unique(found & np.uint64(BYTES**n - 1), return_counts=True)
            self.orders.append(_order(found, counts))

    def bits_per_byte(self, texts: Sequence[str]) -> float:
        """Mean over all bytes of the texts."""
        grams = np.concatenate([_grams(_bytes(t, self.order), self.order) for t in texts])
        return float(-np.log2(self._probabilities(grams)).mean())

    def _probabilities(self, grams: np.ndarray) -> np.ndarray:
        likely = np.full(len(grams), 1 / BYTES)
        for n, order in zip(range(1, self.order + 1), reversed(self.orders), strict=True):
            own = grams & np.uint64(BYTES**n - 1) if n < 8 else grams
            counts = _looked_up(order.grams, order.counts, own)
            context = own >> np.uint64(8)
            sums = _looked_up(order.contexts, order.sums, context)
            followers = _looked_up(order.contexts, order.followers, context)
            known = sums > 0
            share = (np.maximum(counts - order.discount, 0) + order.discount * followers * likely) / np.where(
                known, sums, 1
            )
            likely = np.where(known, share, likely)
        return likely


def _bytes(text: str, order: int) -> np.ndarray:
    """With zeros before the text, so that its first bytes have a context."""
    return np.frombuffer(b"\0" * (order - 1) + text.encode(), np.uint8).astype(np.uint64)


def _grams(values: np.ndarray, order: int) -> np.ndarray:
    length = max(0, len(values) - order + 1)
    grams = np.zeros(length, np.uint64)
    for i in range(order):
        grams = (grams << np.uint64(8)) | values[i : i + length]
    return grams


def _order(grams: np.ndarray, counts: np.ndarray) -> _Order:
    contexts, starts = np.unique(grams >> np.uint64(8), return_index=True)
    sums = np.add.reduceat(counts, starts)
    followers = np.diff(np.append(starts, len(grams)))
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return _Order(grams, counts, contexts, sums, followers, once / (once + 2 * twice) if once else 0.5)


def _looked_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    index = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[index] == asked, values[index], 0)
