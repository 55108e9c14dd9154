"""Instructions as a network reads them: bags of known words, or whole prompts as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError
from vla_data.files import read_json, write_json
from vla_data.types import Camera, InputSpec
from vla_model.lm.tokenizer import SPECIAL, Tokenizer
from vla_model.prompt.episodes import PromptParts, prompt_for, split_instruction
from vla_model.prompt.render import SERIES, VIDEO, Mark, Piece, as_text, prompt_pieces
from vla_model.prompt.tokens import as_tokens
from vla_model.prompt.types import Prompt
from vla_model.words import WordVocabulary, split_words

INSTRUCTION_LENGTH = 24  # known words of an instruction that are read; the rest is cut
PAD_TOKEN = SPECIAL.index("<|pad|>")
PROMPT = "prompt.json"


@runtime_checkable
class Texts(Protocol):
    """How instructions become numbers: `size` different ones, padding among them. `shown` is for people."""

    @property
    def size(self) -> int: ...
    @property
    def length(self) -> int: ...
    def encode(self, instructions: Sequence[str]) -> Int64[np.ndarray, "n length"]: ...
    def shown(self, instruction: str) -> str: ...
    def save(self, directory: Path) -> None: ...


@dataclass(frozen=True)
class WordTexts:
    """Known words of an instruction, 0 behind its end."""

    vocabulary: WordVocabulary
    length: int = INSTRUCTION_LENGTH

    @property
    def size(self) -> int:
        return len(self.vocabulary.words) + 1

    def encode(self, instructions: Sequence[str]) -> Int64[np.ndarray, "n length"]:
        """Ids of known words; a checklist is not read."""
        return self.vocabulary.encode([split_instruction(i)[0] for i in instructions], self.length)

    def shown(self, instruction: str) -> str:
        """The known words."""
        known = set(self.vocabulary.words)
        return " ".join(w for w in split_words(split_instruction(instruction)[0]) if w in known)

    def save(self, directory: Path) -> None:
        """Nothing: the words are in the checkpoint's record."""


def first_pieces(prompt: Prompt) -> list[Piece]:
    """A prompt up to its first picture or series; its end and the answer's role come after those."""
    marks = (SERIES, VIDEO)
    return [p for p in prompt_pieces(prompt) if not (isinstance(p, Mark) and p in marks)][:-2]


def within(tokens: list[int], length: int, instruction: str) -> list[int]:
    """The tokens of a prompt, as they are.

    Raises:
        ConfigError: there are more than `length`.
    """
    if len(tokens) > length:
        raise ConfigError(
            "a prompt is longer than the policy reads",
            where=f"instruction {instruction!r}",
            expected=f"at most {length} tokens",
            got=str(len(tokens)),
            next_step="shorten the instruction, or train with --set policy.text_tokens=N, "
            "or without parts: --set policy.parts.cameras=false",
        )
    return tokens


def padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> Int64[np.ndarray, "n length"]:
    """Rows of tokens, `fill` behind their ends."""
    out = np.full((len(rows), length), fill, np.int64)
    for row, tokens in zip(out, rows, strict=True):
        row[: len(tokens)] = tokens
    return out


@dataclass(frozen=True)
class Told:
    """What a prompt tells beside the instruction, as a checkpoint holds it."""

    parts: PromptParts
    length: int
    cameras: tuple[Camera, ...]

    def save(self, directory: Path) -> None:
        """Write `prompt.json`."""
        write_json(directory / PROMPT, to_dict(self))

    @classmethod
    def load(cls, directory: Path) -> Told:
        """As `save` wrote it.

        Raises:
            CheckpointError: it is missing or of another layout.
        """
        try:
            return from_dict(cls, read_json(directory / PROMPT), where=PROMPT)
        except (ConfigError, DataError) as error:
            raise CheckpointError(
                "the prompt of a checkpoint cannot be read", where=str(directory / PROMPT), got=str(error)
            ) from error


@dataclass(frozen=True, eq=False)
class PromptTexts:
    """The prompt that an instruction makes, up to the first picture or series.

    Args:
        length: most tokens.
        cameras: what is known of those that are looked through.
    """

    tokenizer: Tokenizer
    spec: InputSpec
    parts: PromptParts
    length: int
    cameras: tuple[Camera, ...] = ()

    @classmethod
    def train(
        cls,
        instructions: Sequence[str],
        spec: InputSpec,
        parts: PromptParts,
        length: int,
        vocab_size: int,
        codes: int,
        cameras: tuple[Camera, ...] = (),
    ) -> PromptTexts:
        """With a tokenizer trained on the prompts of these instructions."""
        texts = cls.pieces(instructions, spec, parts, cameras)
        size = max(vocab_size, len(SPECIAL) + 256) + codes
        return cls(Tokenizer.train(texts, size, codes), spec, parts, length, cameras)

    @staticmethod
    def pieces(
        instructions: Sequence[str], spec: InputSpec, parts: PromptParts, cameras: tuple[Camera, ...] = ()
    ) -> list[str]:
        """The words of the prompts of these instructions."""
        return [
            piece
            for said in instructions
            for piece in prompt_pieces(prompt_for(spec, said, parts, cameras))
            if not isinstance(piece, Mark) and isinstance(piece, str)
        ]

    @property
    def size(self) -> int:
        return self.tokenizer.vocab_size

    def tokens(self, instruction: str) -> list[int]:
        """Of one prompt.

        Raises:
            ConfigError: it is longer than `length`.
        """
        prompt = prompt_for(self.spec, instruction, self.parts, self.cameras)
        return within(as_tokens(first_pieces(prompt), self.tokenizer), self.length, instruction)

    def shown(self, instruction: str) -> str:
        """The whole prompt."""
        return as_text(prompt_pieces(prompt_for(self.spec, instruction, self.parts, self.cameras)))

    def encode(self, instructions: Sequence[str]) -> Int64[np.ndarray, "n length"]:
        """Tokens of each prompt, the padding token behind its end."""
        return padded([self.tokens(said) for said in instructions], self.length, PAD_TOKEN)

    def save(self, directory: Path) -> None:
        """Tokenizer, and what is told beside the instruction."""
        self.tokenizer.save(directory)
        Told(self.parts, self.length, self.cameras).save(directory)

    @classmethod
    def load(cls, directory: Path, spec: InputSpec) -> PromptTexts:
        """As `save` wrote it.

        Raises:
            CheckpointError: it is missing or of another layout.
        """
        told = Told.load(directory)
        return cls(Tokenizer.load(directory), spec, told.parts, told.length, told.cameras)
