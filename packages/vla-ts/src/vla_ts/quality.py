"""How good a codec is, measured the same way for every codec, and the page that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.charts import BarChart, Bars, Line, LineChart
from vla_data.fit import FitResult
from vla_data.normalize import MIN_SPREAD, NormStats
from vla_data.protocols import ActionCodec
from vla_data.report import Section, Table, Text
from vla_data.types import ActionSpec

TIMED_CHUNKS = 2048
TIMED_GOES = 5
RANDOM_CHUNKS = 1024
SHOWN_DIMS = 4


@dataclass(frozen=True)
class CodecQuality:
    """A codec measured on chunks it was not fitted to.

    Args:
        name: of the codec.
        nmse: squared error in units of each dimension's variance, mean; 1 is what a constant would get.
        relative: RMSE per dimension in units of its deviation.
        rmse, p99, worst: error per dimension, in the unit of its `ActionDim`.
        tokens_per_chunk, tokens_per_second: codes; a second of robot time without overlap of chunks.
        bits: per chunk, by an ideal entropy coder that knows how often each code comes at each position.
        codebook_size: codes to choose from at each position.
        perplexity: codes in effective use, mean over positions.
        dead: share of codes never used, mean over positions.
        decodable: share of random code sequences that decode to finite chunks within the limits.
        encode_rate, decode_rate: chunks per second on this machine.
    """

    name: str
    nmse: float
    relative: tuple[float, ...]
    rmse: tuple[float, ...]
    p99: tuple[float, ...]
    worst: tuple[float, ...]
    tokens_per_chunk: int
    tokens_per_second: float
    bits: float
    codebook_size: int
    perplexity: float
    dead: float
    decodable: float
    encode_rate: float
    decode_rate: float


def measure(
    name: str, codec: ActionCodec, chunks: Float32[np.ndarray, "n horizon dim"], stats: NormStats
) -> CodecQuality:
    """Measure `codec` on `chunks`; `stats` says what a large error is."""
    codes = codec.encode(chunks)
    error = np.abs(codec.decode(codes) - chunks).reshape(-1, chunks.shape[2])
    std = np.where(np.array(stats.std) < MIN_SPREAD, 1.0, np.array(stats.std))
    scale = np.array([d.scale for d in codec.spec.dims])
    physical = error * scale
    used = entropies(codes, codec.vocab_size)
    encode_rate, decode_rate = _rates(codec, chunks)
    return CodecQuality(
        name,
        float(np.square(error / std).mean()),
        _plain(np.sqrt(np.square(error / std).mean(0))),
        _plain(np.sqrt(np.square(physical).mean(0))),
        _plain(np.quantile(physical, 0.99, axis=0)),
        _plain(physical.max(0)),
        codes.shape[1],
        codes.shape[1] * codec.spec.control_hz / codec.action_horizon,
        float(used.sum()),
        codec.vocab_size,
        float(np.exp2(used).mean()),
        _dead(codes, codec.vocab_size),
        decodable(codec, codes.shape[1]),
        encode_rate,
        decode_rate,
    )


def entropies(codes: Int64[np.ndarray, "n tokens"], vocab_size: int) -> np.ndarray:
    """Bits of the code at each position, from how often each code is seen there, float64 [tokens]."""
    shares = [np.bincount(column, minlength=vocab_size) / len(column) for column in codes.T]
    return np.array([-(p[p > 0] * np.log2(p[p > 0])).sum() for p in shares])


def decodable(codec: ActionCodec, tokens: int) -> float:
    """Share of random code sequences that decode to finite chunks within the limits."""
    rng = np.random.default_rng(0)
    decoded = codec.decode(rng.integers(0, codec.vocab_size, (RANDOM_CHUNKS, tokens)))
    fine = np.isfinite(decoded) & (decoded >= codec.spec.low) & (decoded <= codec.spec.high)
    return float(fine.all(axis=(1, 2)).mean())


def describe(
    qualities: Sequence[CodecQuality],
    codec: ActionCodec,
    episode: Float32[np.ndarray, "time dim"],
    result: FitResult,
    episodes: tuple[int, int],
) -> tuple[dict[str, Any], list[Section]]:
    """The summary of a fit, and the sections of its page. The first quality is the fitted codec's."""
    own, peer = qualities[0], qualities[1]
    summary = {
        "tokens_per_chunk": own.tokens_per_chunk,
        "codebook_size": own.codebook_size,
        "nmse": round(own.nmse, 5),
        "bits_per_chunk": round(own.bits, 2),
        "perplexity": round(own.perplexity, 1),
        "dead_codes": round(own.dead, 4),
        "decodable": own.decodable,
        "uniform_bins_nmse": round(peer.nmse, 7),
        "uniform_bins_tokens_per_chunk": peer.tokens_per_chunk,
        "episodes": episodes[0],
        "held_out_episodes": episodes[1],
        "seconds": result.seconds,
    }
    on = f"{episodes[1]} held-out episodes" if episodes[1] else "the one episode it was fitted to"
    text = (
        f"A chunk of {codec.action_horizon} actions of {codec.spec.dim} numbers becomes "
        f"{own.tokens_per_chunk} codes of {own.codebook_size}. Measured on {on}; fitted to {episodes[0]}."
    )
    blocks = (
        Text(text),
        _overview(qualities),
        _per_dimension(qualities, codec.spec),
        _curve(result),
        _bars(qualities, codec.spec),
        *_trajectory(codec, episode),
    )
    return summary, [Section("Action codec", blocks)]


def _overview(qualities: Sequence[CodecQuality]) -> Table:
    rows = (
        ("codes per chunk", *(str(q.tokens_per_chunk) for q in qualities)),
        ("codes per second", *(f"{q.tokens_per_second:.1f}" for q in qualities)),
        ("codes to choose from", *(str(q.codebook_size) for q in qualities)),
        ("bits per chunk, entropy-coded", *(f"{q.bits:.1f}" for q in qualities)),
        ("error (share of variance)", *(f"{q.nmse:.3g}" for q in qualities)),
        ("codes in effective use", *(f"{q.perplexity:.1f}" for q in qualities)),
        ("codes never used", *(f"{q.dead:.1%}" for q in qualities)),
        ("random codes that decode", *(f"{q.decodable:.1%}" for q in qualities)),
        ("encode, chunks/s", *(f"{q.encode_rate:,.0f}" for q in qualities)),
        ("decode, chunks/s", *(f"{q.decode_rate:,.0f}" for q in qualities)),
    )
    return Table(("", *(q.name for q in qualities)), rows)


def _per_dimension(qualities: Sequence[CodecQuality], spec: ActionSpec) -> Table:
    rows = [
        (dim.name, dim.unit, *(f"{v[i]:.3g}" for q in qualities for v in (q.rmse, q.p99, q.worst)))
        for i, dim in enumerate(spec.dims)
    ]
    heads = [f"{q.name} {what}" for q in qualities for what in ("RMSE", "99%", "largest")]
    return Table(("dimension", "unit", *heads), tuple(rows), "Error of decoded actions, physical units")


def _curve(result: FitResult) -> LineChart:
    points = result.history["error"]
    line = Line("error", tuple(float(s) for s, _ in points), tuple(v for _, v in points))
    return LineChart("Training: squared error, normalised", (line,), x_label="step", log_y=True)


def _bars(qualities: Sequence[CodecQuality], spec: ActionSpec) -> BarChart:
    """Relative errors, so that metres and radians share an axis."""
    groups = tuple(Bars(q.name, q.relative) for q in qualities)
    return BarChart("RMSE in units of the deviation", tuple(d.name for d in spec.dims), groups)


def _trajectory(codec: ActionCodec, episode: Float32[np.ndarray, "time dim"]) -> list[LineChart]:
    """An episode beside what its chunks decode to, one after the other."""
    horizon = codec.action_horizon
    whole = np.concatenate([episode, np.repeat(episode[-1:], -len(episode) % horizon, axis=0)])
    decoded = codec.decode(codec.encode(whole.reshape(-1, horizon, codec.spec.dim)))
    decoded = decoded.reshape(-1, codec.spec.dim)[: len(episode)]
    seconds = tuple(float(i) for i in np.arange(len(episode)) / codec.spec.control_hz)
    return [
        LineChart(
            f"A held-out episode: {dim.name}",
            (Line("action", seconds, _plain(episode[:, i])), Line("decoded", seconds, _plain(decoded[:, i]))),
            x_label="s",
        )
        for i, dim in enumerate(codec.spec.dims[:SHOWN_DIMS])
    ]


def _rates(codec: ActionCodec, chunks: Float32[np.ndarray, "n horizon dim"]) -> tuple[float, float]:
    """Chunks a second, encoded and decoded: the best of a few goes, since a busy machine only ever slows."""
    some = np.resize(chunks, (TIMED_CHUNKS, *chunks.shape[1:]))
    codes = codec.encode(some)
    return _rate(lambda: codec.encode(some)), _rate(lambda: codec.decode(codes))


def _rate(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMED_GOES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return TIMED_CHUNKS / min(seconds)


def _dead(codes: Int64[np.ndarray, "n tokens"], vocab_size: int) -> float:
    return float(np.mean([1 - len(np.unique(column)) / vocab_size for column in codes.T]))


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
