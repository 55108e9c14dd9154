"""DCT, rounding and byte-pair encoding: the recipe of FAST (Pertsch et al. 2025, arXiv:2501.09747).

- q01 … q99 of each dimension to −1 … 1, a DCT-II along time, coefficients times `scale` rounded to integers
- the integers in one row, lowest frequencies first and dimensions interleaved, as letters of an alphabet
- byte-pair encoding (`tokenizers`) joins letters that often follow each other: chunks differ in length

`scale` trades error for codes. Coefficients beyond those fitted on are clipped to the alphabet, so every
chunk has codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.normalize import Normalizer, NormStats
from vla_data.types import ActionSpec
from vla_ts.base import PlainCodec
from vla_ts.checks import PADDING, check_chunks, check_codes
from vla_ts.transforms import dct_matrix

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BPE = "bpe.json"
FIRST_LETTER = 0x4E00  # a block of 20,992 letters that no normaliser or pre-tokeniser splits
LETTERS = 20_992
FITTED_CHUNKS = 50_000  # BPE learns little from more, and its time grows with them


@dataclass(frozen=True)
class DctBpeConfig:
    """`scale` of the coefficients before rounding (finer with more), and codes in all, letters included."""

    scale: float = 10.0
    vocab_size: int = 1024

    def __post_init__(self) -> None:
        if not (self.scale > 0 and np.isfinite(self.scale) and self.vocab_size >= 2):
            raise ConfigError(
                "DCT+BPE needs a positive scale and two codes at least",
                got=f"scale {self.scale}, vocab_size {self.vocab_size}",
            )


class DctBpeCodec(PlainCodec):
    """An `ActionCodec` of chunks that differ in length: `tokens_per_chunk` is None, -1 pads short rows.

    A row of codes stands for horizon × dim coefficients. Broken rows still decode: coefficients that are
    missing at the end (the highest frequencies) are 0, ones too many are dropped. `decodable` tells them.

    Args:
        spec: what the actions mean.
        action_horizon: actions in a chunk.
        stats: of the actions, for the normaliser.
        scale: of the coefficients.
        lowest: coefficient of the first letter.
        tokenizer: the byte-pair encoder over the letters.
    """

    kind = "dct_bpe"

    def __init__(
        self,
        spec: ActionSpec,
        action_horizon: int,
        stats: NormStats,
        scale: float,
        lowest: int,
        tokenizer: Tokenizer,
    ) -> None:
        super().__init__(spec, action_horizon)
        self._normalizer, self._scale, self._lowest = Normalizer(stats, "quantile"), scale, lowest
        self._tokenizer = tokenizer
        self._dct = dct_matrix(action_horizon)
        pieces = _pieces(tokenizer)
        self._letters = sum(len(piece) == 1 for piece in pieces)
        self._piece_lengths = np.array([len(p) for p in pieces])
        self._piece_starts = np.concatenate([[0], np.cumsum(self._piece_lengths)[:-1]])
        joined = np.frombuffer("".join(pieces).encode("utf-32-le"), "<u4")
        self._coefficients = joined.astype(np.int64) - FIRST_LETTER + lowest

    @property
    def vocab_size(self) -> int:
        return len(self._piece_lengths)

    @property
    def tokens_per_chunk(self) -> None:
        return None

    @property
    def norm_stats(self) -> NormStats:
        return self._normalizer.stats

    @classmethod
    def fit(
        cls,
        chunks: Float32[np.ndarray, "n horizon dim"],
        spec: ActionSpec,
        config: DctBpeConfig = DctBpeConfig(),
    ) -> Self:
        """Statistics, alphabet and merges of what the chunks hold.

        Raises:
            DataError: NaN, or another width than the spec's.
            ConfigError: there are more different coefficients than codes.
        """
        check_chunks(chunks, chunks.shape[1], spec, cls.kind)
        stats = NormStats.of([chunks.reshape(-1, spec.dim)], cls.kind)
        normalizer = Normalizer(stats, "quantile")
        rows = _coefficients(chunks, normalizer, config.scale)
        reach = _reach(rows, normalizer.normalize(chunks), config)
        some = rows[:: -(-len(rows) // FITTED_CHUNKS)]
        tokenizer = _train(_words(some + reach), 2 * reach + 1, config.vocab_size)
        return cls(spec, chunks.shape[1], stats, config.scale, -reach, tokenizer)

    def decodable(self, codes: Int64[np.ndarray, "n tokens"]) -> Bool[np.ndarray, "n"]:
        """Which rows stand for exactly horizon × dim coefficients."""
        check_codes(codes, None, self.vocab_size, self.kind)
        return self._lengths(codes).sum(axis=1) == self._horizon * self._spec.dim

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        rows = _coefficients(chunks, self._normalizer, self._scale) - self._lowest
        words = _words(rows.clip(0, self._letters - 1))
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(words)]
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        codes = np.full((len(found), int(lengths.max(initial=0))), PADDING, np.int64)
        filled = np.arange(codes.shape[1]) < lengths[:, None]
        codes[filled] = np.fromiter((i for ids in found for i in ids), np.int64, int(lengths.sum()))
        return codes

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        size = self._horizon * self._spec.dim
        lengths = self._lengths(codes)
        ends = np.cumsum(lengths, axis=1)
        row, column = np.nonzero((lengths > 0) & (ends - lengths < size))
        count = np.minimum(lengths[row, column], size - (ends - lengths)[row, column])
        # Where each coefficient comes from among the pieces, and goes to in its row, all rows at once.
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        source = np.repeat(self._piece_starts[codes[row, column]], count) + within
        target = np.repeat(row * size + (ends - lengths)[row, column], count) + within
        flat = np.zeros(len(codes) * size, np.float32)
        flat[target] = self._coefficients[source]
        spectrum = flat.reshape(len(codes), self._horizon, self._spec.dim) / np.float32(self._scale)
        return self._normalizer.denormalize(np.matmul(self._dct.T, spectrum))

    def _lengths(self, codes: np.ndarray) -> np.ndarray:
        """Coefficients each code stands for; none for padding."""
        return np.where(codes >= 0, self._piece_lengths[codes.clip(0)], 0)

    def _settings(self) -> dict[str, Any]:
        return {
            "norm_stats": to_dict(self._normalizer.stats),
            "scale": self._scale,
            "lowest": self._lowest,
            "vocab_size": self.vocab_size,
        }

    def _write(self, directory: Path) -> None:
        (directory / BPE).write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")

    @classmethod
    def _build(
        cls, spec: ActionSpec, action_horizon: int, settings: Mapping[str, Any], directory: Path
    ) -> Self:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(directory / BPE))
        except Exception as error:  # the library raises bare exceptions
            raise CheckpointError(
                "the byte-pair encoder cannot be read", where=str(directory / BPE), got=str(error)
            ) from error
        stats = from_dict(NormStats, settings["norm_stats"], f"{directory}: norm_stats")
        codec = cls(spec, action_horizon, stats, float(settings["scale"]), int(settings["lowest"]), tokenizer)
        if codec.vocab_size != settings["vocab_size"]:
            raise CheckpointError(
                "the byte-pair encoder is not the codec's",
                where=str(directory / BPE),
                expected=f"{settings['vocab_size']} codes",
                got=f"{codec.vocab_size}",
            )
        return codec


def _coefficients(chunks: np.ndarray, normalizer: Normalizer, scale: float) -> np.ndarray:
    """Rounded DCT coefficients, int64 [N, horizon × dim], lowest frequencies first."""
    count, horizon, dim = chunks.shape
    by_time = normalizer.normalize(chunks).transpose(1, 0, 2).reshape(horizon, count * dim)
    spectrum = (dct_matrix(horizon) @ by_time).reshape(horizon, count, dim).transpose(1, 0, 2)
    # Far outliers must stay integers: what is beyond the alphabet is clipped to it afterwards.
    return np.rint(scale * spectrum).clip(-LETTERS, LETTERS).astype(np.int64).reshape(count, horizon * dim)


def _reach(rows: np.ndarray, normalized: np.ndarray, config: DctBpeConfig) -> int:
    """The largest coefficient with a letter: that of a chunk which stays at the most extreme value.

    Beyond what was seen, at most half of the vocabulary goes into letters.
    """
    seen = int(np.abs(rows).max())
    most = int(np.ceil(config.scale * np.sqrt(normalized.shape[1]) * np.abs(normalized).max()))
    if 2 * seen + 1 > min(config.vocab_size, LETTERS):
        raise ConfigError(
            "there are more different coefficients than codes",
            where=f"{DctBpeCodec.kind}, scale {config.scale:g}",
            expected=f"at most {min(config.vocab_size, LETTERS)}",
            got=f"{2 * seen + 1}",
            next_step="use a smaller scale or a larger vocab_size",
        )
    return max(seen, min(most, config.vocab_size // 4, LETTERS // 2 - 1))


def _words(letters: np.ndarray) -> list[str]:
    """Rows of letter numbers as strings, one letter each."""
    points = np.ascontiguousarray(letters + FIRST_LETTER, "<u4")
    return points.view(f"<U{points.shape[1]}").ravel().tolist()


def _train(words: list[str], letters: int, vocab_size: int) -> Tokenizer:
    from tokenizers import Tokenizer, models, trainers

    alphabet = [chr(FIRST_LETTER + i) for i in range(letters)]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.train_from_iterator(words, trainer)
    return tokenizer


def _pieces(tokenizer: Tokenizer) -> list[str]:
    """What each code stands for, by number."""
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)
