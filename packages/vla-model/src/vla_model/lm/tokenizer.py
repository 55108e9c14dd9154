"""Text ⇄ tokens: byte-level BPE, and special tokens that text can never spell.

Every text has tokens and comes back as it was, whatever bytes it holds. Special tokens mark roles, and the
places of video, series and action codes; they are put in by number. What a user types as "<|user|>" becomes
ordinary tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vla_data.errors import CheckpointError, ConfigError, UnknownNameError
from vla_data.files import write_bytes

FILE = "tokenizer.json"
SPECIAL = (
    "<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>",
    "<|video|>", "<|series|>", "<|camera|>", "<|action|>", "<|pad|>",
)  # fmt: skip
BYTES = 256
# Words with their leading space, numbers up to three digits, runs of signs, runs of white space.
SPLIT = r" ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"


class Tokenizer:
    """Numbers 0 … `vocab_size` − 1: special tokens, action codes, then pieces of text.

    Args:
        inner: a `tokenizers.Tokenizer`.
        codes: how many action codes have a token.
    """

    def __init__(self, inner: object, codes: int = 0) -> None:
        from tokenizers import Tokenizer as Inner

        assert isinstance(inner, Inner)
        self._inner, self.codes = inner, codes
        self._inner.encode_special_tokens = True
        self._special = {name: i for i, name in enumerate(SPECIAL)}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, codes: int = 0) -> Tokenizer:
        """Learn pieces from texts.

        Args:
            vocab_size: in all; the special tokens, action codes and 256 bytes are part of it.

        Raises:
            ConfigError: there is no room for any piece.
        """
        from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Inner

        least = len(SPECIAL) + codes + BYTES
        if vocab_size < least:
            raise ConfigError(
                "a vocabulary is too small",
                where="vocab_size",
                expected=f"at least {least}: {len(SPECIAL)} special tokens, {codes} codes, {BYTES} bytes",
                got=str(vocab_size),
            )
        inner = Inner(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[*SPECIAL, *(code_name(i) for i in range(codes))],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(texts, trainer)
        return cls(inner, codes)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return self._inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, none of them special."""
        return self._inner.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many, on all cores."""
        return [e.ids for e in self._inner.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; special ones and codes are left out, and halves of characters show as �."""
        first = len(SPECIAL) + self.codes
        return self._inner.decode([t for t in tokens if t >= first], skip_special_tokens=False)

    def special(self, name: str) -> int:
        """The token of a special name such as "<|user|>".

        Raises:
            UnknownNameError: there is no such special token.
        """
        if name not in self._special:
            raise UnknownNameError("special token", name, SPECIAL)
        return self._special[name]

    def code(self, code: int) -> int:
        """The token of an action code.

        Raises:
            ConfigError: there are not so many.
        """
        if not 0 <= code < self.codes:
            raise ConfigError(
                "an action code has no token",
                where="tokenizer",
                expected=f"a code below {self.codes}",
                got=str(code),
                next_step="train the tokenizer with as many codes as the action codec has",
            )
        return len(SPECIAL) + code

    def code_of(self, token: int) -> int | None:
        """The action code of a token; None for any other token."""
        code = token - len(SPECIAL)
        return code if 0 <= code < self.codes else None

    @property
    def byte_lengths(self) -> Int64[np.ndarray, "vocab"]:
        """How many bytes of text each token stands for; 0 for special ones and codes."""
        lengths = np.zeros(self.vocab_size, np.int64)
        for piece, token in self._inner.get_vocab().items():
            lengths[token] = len(piece) if token >= len(SPECIAL) + self.codes else 0  # a letter a byte
        return lengths

    def save(self, directory: Path) -> Path:
        """Write `tokenizer.json`; its path."""
        path = directory / FILE
        document = json.loads(self._inner.to_str())
        write_bytes(
            path, json.dumps({"codes": self.codes, "tokenizer": document}, ensure_ascii=False).encode()
        )
        return path

    @classmethod
    def load(cls, directory: Path) -> Tokenizer:
        """As `save` wrote it.

        Raises:
            CheckpointError: there is none, or it is damaged or another's.
        """
        from tokenizers import Tokenizer as Inner

        path = directory / FILE if directory.is_dir() else directory
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            inner, codes = Inner.from_str(json.dumps(document["tokenizer"])), int(document["codes"])
        except Exception as error:  # the library raises plain Exception
            raise CheckpointError(
                "a tokenizer cannot be read",
                where=str(path),
                expected="tokenizer.json of `vla model tokenizer`",
                got=str(error) or type(error).__name__,
                next_step="vla model tokenizer --help",
            ) from error
        made = cls(inner, codes)
        wrong = [name for i, name in enumerate(SPECIAL) if inner.token_to_id(name) != i]
        if wrong:
            raise CheckpointError(
                "a tokenizer is of another kind",
                where=str(path),
                expected=f"special tokens {', '.join(SPECIAL)} first",
                got=f"{wrong[0]} is elsewhere or missing",
            )
        return made


def code_name(code: int) -> str:
    """What the token of an action code is called."""
    return f"<|code {code}|>"


def pieces(tokenizer: Tokenizer, text: str) -> Iterator[str]:
    """The pieces a text falls into, for people."""
    for token in tokenizer.encode(text):
        yield tokenizer.decode([token])
