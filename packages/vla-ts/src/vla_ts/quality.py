"""How good a codec is, measured the same way for every codec."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.normalize import MIN_SPREAD, NormStats
from vla_data.protocols import ActionCodec
from vla_data.types import ActionSpec
from vla_ts.checks import PADDING
from vla_ts.entropy import CodeTables, entropies
from vla_ts.figures import CodecQuality, CodeUse, Errors, Rates, Robustness, Speeds
from vla_ts.rotation import rotation_angles

TIMED_CHUNKS = 2048
TIMED_GOES = 5
RANDOM_CHUNKS = 1024
TOKEN_ERRORS = (0.01, 0.05)


def measure(
    name: str,
    codec: ActionCodec,
    chunks: Float32[np.ndarray, "n horizon dim"],
    stats: NormStats,
    learnt: Float32[np.ndarray, "m horizon dim"] | None = None,
) -> CodecQuality:
    """Measure `codec` on `chunks`.

    Args:
        stats: what a large error is: those of the data the codec was fitted to.
        learnt: the chunks the codec was fitted to, in their order, to learn the entropy coder's tables.
    """
    codes = codec.encode(chunks)
    return CodecQuality(
        name,
        errors(codec.decode(codes), chunks, stats, codec.spec),
        rates(codec, codes, None if learnt is None else codec.encode(learnt)),
        _use(codec, codes),
        _robustness(codec, chunks, codes, stats),
        _speeds(codec, chunks),
    )


def errors(decoded: np.ndarray, chunks: np.ndarray, stats: NormStats, spec: ActionSpec) -> Errors:
    """Errors of decoded chunks [N, horizon, action_dim]."""
    error = np.abs(decoded - chunks).reshape(-1, chunks.shape[2])
    relative = error / _unit(stats)
    physical = error * np.array([d.scale for d in spec.dims])
    angles = rotation_angles(decoded.reshape(error.shape), chunks.reshape(error.shape), spec)
    spread = (None, None, None)
    if angles is not None:
        spread = (float(angles.mean()), float(np.quantile(angles, 0.99)), float(angles.max()))
    return Errors(
        float(np.square(relative).mean()),
        _plain(np.square(relative).mean(0)),
        float(np.quantile(relative, 0.99)),
        float(relative.max()),
        _plain(np.sqrt(np.square(physical).mean(0))),
        _plain(np.quantile(physical, 0.99, axis=0)),
        _plain(physical.max(0)),
        *spread,
        jerk_added(decoded, chunks, stats, spec),
    )


def jerk_added(decoded: np.ndarray, chunks: np.ndarray, stats: NormStats, spec: ActionSpec) -> float | None:
    """Growth of the RMS jerk within chunks, of all dimensions but grippers, normalised.

    Jerk is the third difference of positions: the third of absolute actions, the second of deltas and
    velocities.
    """
    total = np.zeros(2)
    for i, dim in enumerate(spec.dims):
        order = 3 if dim.mode == "absolute" else 2
        if dim.quantity != "gripper" and chunks.shape[1] > order:
            total += [np.square(np.diff(x[..., i] / _unit(stats)[i], order)).sum() for x in (decoded, chunks)]
    return float(np.sqrt(total[0] / total[1]) - 1) if total[1] > 0 else None


def rates(codec: ActionCodec, codes: np.ndarray, learnt: np.ndarray | None) -> Rates:
    """What `codes` cost; `learnt` are those of the chunks the codec was fitted to."""
    lengths = (codes != PADDING).sum(axis=1)
    tokens, empirical = float(lengths.mean()), _empirical(codec, codes)
    coded = empirical
    if learnt is not None:
        tables = CodeTables.learn(learnt, codec.vocab_size, ends=codec.tokens_per_chunk is None)
        coded = float(tables.bits(codes).mean())
    seconds = codec.action_horizon / codec.spec.control_hz
    raw = tokens * float(np.log2(codec.vocab_size))
    return Rates(tokens, int(lengths.max(initial=0)), raw, coded, empirical, seconds)


def _empirical(codec: ActionCodec, codes: np.ndarray) -> float:
    """Entropy of the codes per chunk, with that of the lengths where chunks differ in them."""
    used = (codes != PADDING).mean(axis=0)
    bits = float((entropies(codes, codec.vocab_size) * used).sum())
    if codec.tokens_per_chunk is not None:
        return bits
    lengths = (codes != PADDING).sum(axis=1)[:, None]
    return bits + float(entropies(lengths, codes.shape[1] + 1).sum())


def _use(codec: ActionCodec, codes: np.ndarray) -> CodeUse:
    columns = codes if codec.tokens_per_chunk is not None else codes[codes != PADDING][:, None]
    dead = [1 - len(np.unique(column)) / codec.vocab_size for column in columns.T]
    perplexity = np.exp2(entropies(columns, codec.vocab_size)).mean()
    return CodeUse(codec.vocab_size, float(perplexity), float(np.mean(dead)))


def _robustness(codec: ActionCodec, chunks: np.ndarray, codes: np.ndarray, stats: NormStats) -> Robustness:
    rng = np.random.default_rng(0)
    tokens = codec.tokens_per_chunk or max(1, round(float((codes != PADDING).sum(axis=1).mean())))
    random = _fine(codec, rng.integers(0, codec.vocab_size, (RANDOM_CHUNKS, tokens)))
    broken = [with_token_errors(codes, codec.vocab_size, p, rng) for p in TOKEN_ERRORS]
    nmse = [np.square((codec.decode(c) - chunks) / _unit(stats)).mean() for c in broken]
    return Robustness(random, tuple(_fine(codec, c) for c in broken), tuple(float(v) for v in nmse))


def with_token_errors(
    codes: Int64[np.ndarray, "n tokens"], vocab_size: int, share: float, rng: np.random.Generator
) -> Int64[np.ndarray, "n tokens"]:
    """The codes, each replaced by another one, any with the same probability, in `share` of the places."""
    hit = (rng.random(codes.shape) < share) & (codes != PADDING)
    return np.where(hit, (codes + rng.integers(1, vocab_size, codes.shape)) % vocab_size, codes)


def _fine(codec: ActionCodec, codes: np.ndarray) -> float:
    """Share of rows that are codes of a chunk, finite and within the limits."""
    decoded = codec.decode(codes)
    fine = np.isfinite(decoded) & (decoded >= codec.spec.low) & (decoded <= codec.spec.high)
    whole = getattr(codec, "decodable", lambda c: np.ones(len(c), bool))(codes)
    return float((fine.all(axis=(1, 2)) & whole).mean())


def _speeds(codec: ActionCodec, chunks: np.ndarray) -> Speeds:
    some = np.resize(chunks, (TIMED_CHUNKS, *chunks.shape[1:]))
    codes = codec.encode(some)
    encode, decode = _seconds(lambda: codec.encode(some)), _seconds(lambda: codec.decode(codes))
    first, one = some[:1], codec.encode(some[:1])
    alone = [1e3 * _seconds(lambda: codec.encode(first)), 1e3 * _seconds(lambda: codec.decode(one))]
    return Speeds(TIMED_CHUNKS / encode, TIMED_CHUNKS / decode, *alone)


def _seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMED_GOES):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _unit(stats: NormStats) -> np.ndarray:
    std = np.array(stats.std)
    return np.where(std < MIN_SPREAD, 1.0, std)


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
