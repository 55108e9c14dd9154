"""A permutation of 0…n−1 that needs no table: any image of it is computed, not looked up.

A Feistel network over the next power of four, walked on until it lands inside (Black and Rogaway 2002,
"Ciphers with arbitrary finite domains"). Round functions are multiplicative hashes: good shuffling,
no secrecy.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

ROUNDS = 6
MIN_HALF = 3  # a domain of 64 at least: a Feistel network over fewer points reaches few of their orders
WORD = (1 << 64) - 1
FIRST, SECOND, GOLDEN = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15  # of SplitMix64


def key_of(*parts: int) -> int:
    """64 bits that depend on every part and their order."""
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


class Permutation:
    """A bijection of 0…size−1 onto itself, chosen by `key`; called with an index, gives its image."""

    def __init__(self, size: int, key: int) -> None:
        self.size = size
        self._half = max(MIN_HALF, (max(size - 1, 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        self._keys = [(key + i * GOLDEN) & WORD for i in range(1, ROUNDS + 1)]

    def __call__(self, index: int) -> int:
        half, mask, down = self._half, self._mask, 64 - self._half
        while True:
            left, right = index >> half, index & mask
            for key in self._keys:
                word = ((right ^ key) * FIRST) & WORD
                word = ((word ^ (word >> 31)) * SECOND) & WORD
                left, right = right, left ^ (word >> down)
            index = (left << half) | right
            if index < self.size:
                return index

    def many(self, indices: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
        """The images of many indices."""
        found = indices.astype(np.uint64)
        walking = np.arange(len(found))
        while len(walking):
            moved = self._once(found[walking])
            found[walking] = moved
            walking = walking[moved >= self.size]
        return found.astype(np.int64)

    def _once(self, words: np.ndarray) -> np.ndarray:
        half, mask, down = np.uint64(self._half), np.uint64(self._mask), np.uint64(64 - self._half)
        left, right = words >> half, words & mask
        for key in self._keys:
            word = (right ^ np.uint64(key)) * np.uint64(FIRST)  # wraps, as in the scalar form
            word = (word ^ (word >> np.uint64(31))) * np.uint64(SECOND)
            left, right = right, left ^ (word >> down)
        return (left << half) | right


@lru_cache(maxsize=4096)
def permutation(size: int, *parts: int) -> Permutation:
    """The permutation of `size` that `key_of(*parts)` chooses; the latest few thousand are kept."""
    return Permutation(size, key_of(*parts))
