"""The figures by which codecs are compared; `vla_ts.quality` measures them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Errors:
    """How far decoded actions are from the real ones.

    Args:
        nmse: squared error in units of each dimension's variance, mean; 1 is what a constant would get.
        by_dim: the same for each dimension.
        p99, worst: absolute error of all numbers in units of their dimension's deviation.
        rmse_by_dim, p99_by_dim, worst_by_dim: per dimension, in the unit of its `ActionDim`.
        angle_mean, angle_p99, angle_worst: of the turn between real and decoded rotation, radians; None
            without a rotation.
        jerk_added: growth of the RMS jerk of the motion within a chunk, as a share of the real one; None
            where nothing moves or chunks are too short.
    """

    nmse: float
    by_dim: tuple[float, ...]
    p99: float
    worst: float
    rmse_by_dim: tuple[float, ...]
    p99_by_dim: tuple[float, ...]
    worst_by_dim: tuple[float, ...]
    angle_mean: float | None
    angle_p99: float | None
    angle_worst: float | None
    jerk_added: float | None


@dataclass(frozen=True)
class Rates:
    """What codes cost.

    Args:
        tokens: per chunk, mean.
        most_tokens: of one chunk.
        raw_bits: per chunk, tokens × log₂(vocabulary).
        bits: per chunk, entropy-coded with tables learnt from the training chunks (`vla_ts.entropy`);
            without those, the entropy of the codes themselves.
        empirical_bits: per chunk, the entropy of the measured codes, position by position: too small
            where there are few chunks.
        seconds: of motion in a chunk, without overlap.
    """

    tokens: float
    most_tokens: int
    raw_bits: float
    bits: float
    empirical_bits: float
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def bits_per_second(self) -> float:
        return self.bits / self.seconds


@dataclass(frozen=True)
class CodeUse:
    """How the vocabulary is used: codes in effective use and share of codes never used, mean over positions
    (over all positions together where chunks differ in length)."""

    vocab_size: int
    perplexity: float
    dead: float


@dataclass(frozen=True)
class Robustness:
    """Decoding of codes that no encoder made.

    Args:
        random: share of random code sequences that decode to finite chunks within the limits.
        decodable: the same for real codes with each token wrong with probability 1% and 5%.
        nmse: of what those decode to.
    """

    random: float
    decodable: tuple[float, ...]
    nmse: tuple[float, ...]


@dataclass(frozen=True)
class Speeds:
    """On this machine: chunks per second in batches, milliseconds for one chunk alone; the best of a few
    goes, since a busy machine only ever slows."""

    encode_rate: float
    decode_rate: float
    encode_one_ms: float
    decode_one_ms: float


@dataclass(frozen=True)
class CodecQuality:
    """A codec measured on chunks it was not fitted to."""

    name: str
    error: Errors
    rate: Rates
    codes: CodeUse
    robust: Robustness
    speed: Speeds
