"""A small tokenizer for the questions of the generator: words, signs and single digits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from vla_data.errors import DataError
from vla_ts.language.series import CLOSE, OPEN

TOKEN = re.compile(rf"{OPEN}|{CLOSE}|[a-z_]+=?|\d|[^\s\w]")
SIGNS = (OPEN, CLOSE, *"0123456789", *".,:;?+-", "e", "steps=", "offset=", "scale=", "answer")


@runtime_checkable
class TextTokenizer(Protocol):
    """What `prepare` asks of a language model's tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without signs of beginning or end."""
        ...


@dataclass(frozen=True)
class WordTokenizer:
    """Ids of known words; 0 is padding, ids start at 1.

    Numbers are read digit by digit, except that a text which is one known word as a whole is one token: so
    each answer is.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], whole: Iterable[str] = ()) -> WordTokenizer:
        """The tokens of some texts, of numbers and placeholders, and `whole` words as they are."""
        return cls(tuple(sorted({*SIGNS, *whole, *(t for text in texts for t in TOKEN.findall(text))})))

    @classmethod
    def of_generator(cls) -> WordTokenizer:
        """All that `SeriesGenerator` asks and answers."""
        from vla_ts.language.generator import answers, grammar

        return cls.of(grammar(), answers())

    @cached_property
    def ids(self) -> dict[str, int]:
        """Word → id."""
        return {word: i + 1 for i, word in enumerate(self.words)}

    @property
    def vocab_size(self) -> int:
        """Ids, padding included."""
        return len(self.words) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of a text. Raises DataError on a word that is not known."""
        if text in self.ids:
            return [self.ids[text]]
        try:
            return [self.ids[token] for token in TOKEN.findall(text)]
        except KeyError as unknown:
            raise DataError(
                "a word that the tokenizer does not know", expected=f"one of {len(self.words)} words",
                got=str(unknown.args[0]), next_step="make the tokenizer from all texts it will see",
            ) from None  # fmt: skip

    def decode(self, ids: Iterable[int]) -> str:
        """The words of ids, apart by spaces; padding is left out."""
        return " ".join(self.words[i - 1] for i in ids if i)
