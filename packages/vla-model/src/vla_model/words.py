"""Instructions as bags of known words.

The vocabulary is what training instructions were made of. A word never seen in training carries no
meaning the policy could know, so it is left out instead of being given a random vector.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

PAD = 0


def split_words(text: str) -> list[str]:
    """Lower-case words of a text: letters and digits, without punctuation."""
    return re.findall(r"[a-z0-9]+", text.lower())


@dataclass(frozen=True)
class WordVocabulary:
    """Known words; ids start at 1, 0 is padding."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> WordVocabulary:
        """The vocabulary of a set of texts."""
        return cls(tuple(sorted({w for t in texts for w in split_words(t)})))

    def encode(self, texts: Sequence[str], length: int) -> Int64[np.ndarray, "n length"]:
        """Ids of the known words of each text, cut or padded to `length`."""
        ids = {w: i + 1 for i, w in enumerate(self.words)}
        out = np.full((len(texts), length), PAD, np.int64)
        for row, text in enumerate(texts):
            known = [ids[w] for w in split_words(text) if w in ids][:length]
            out[row, : len(known)] = known
        return out
