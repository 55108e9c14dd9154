"""The pages that show how good a codec is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.charts import BarChart, Bars, Line, LineChart
from vla_data.protocols import ActionCodec
from vla_data.report import Section, Table, Text
from vla_data.types import ActionSpec
from vla_ts.figures import CodecQuality

SHOWN_DIMS = 4


def describe(
    qualities: Sequence[CodecQuality],
    codec: ActionCodec,
    episode: Float32[np.ndarray, "time dim"],
    episodes: tuple[int, int],
    curve: Sequence[tuple[float, float]] = (),
    seconds: float | None = None,
) -> tuple[dict[str, Any], list[Section]]:
    """The summary of a fit, and the sections of its page.

    Args:
        qualities: of the fitted codec, and of uniform bins beside it.
        codec: the fitted one.
        episode: one it was not fitted to, to show.
        episodes: how many were learnt from, and how many held out.
        curve: (step, squared error) on the way, of a trained codec; `seconds` its training took.
    """
    own, peer = qualities[0], qualities[1]
    summary = {
        "tokens_per_chunk": _short(own.rate.tokens),
        "codebook_size": own.codes.vocab_size,
        "nmse": round(own.error.nmse, 5),
        "bits_per_chunk": round(own.rate.bits, 2),
        "perplexity": round(own.codes.perplexity, 1),
        "dead_codes": round(own.codes.dead, 4),
        "decodable": own.robust.random,
        "uniform_bins_nmse": round(peer.error.nmse, 7),
        "uniform_bins_tokens_per_chunk": _short(peer.rate.tokens),
        "episodes": episodes[0],
        "held_out_episodes": episodes[1],
    }
    if seconds is not None:
        summary["seconds"] = seconds
    on = f"{episodes[1]} held-out episodes" if episodes[1] else "the one episode it was fitted to"
    text = (
        f"A chunk of {codec.action_horizon} actions of {codec.spec.dim} numbers becomes "
        f"{_short(own.rate.tokens)} codes of {own.codes.vocab_size}. Measured on {on}; "
        f"fitted to {episodes[0]}."
    )
    blocks = (
        Text(text),
        overview(qualities),
        _per_dimension(qualities, codec.spec),
        *([_curve(curve)] if curve else []),
        error_bars(qualities, codec.spec),
        *trajectory_charts(codec, episode, "A held-out episode"),
    )
    return summary, [Section("Action codec", blocks)]


def overview(qualities: Sequence[CodecQuality]) -> Table:
    """Codecs side by side, a row a figure."""
    rows = [
        ("codes per chunk", *(f"{_short(q.rate.tokens)}" for q in qualities)),
        ("codes per second", *(f"{q.rate.tokens_per_second:.1f}" for q in qualities)),
        ("codes to choose from", *(str(q.codes.vocab_size) for q in qualities)),
        ("bits per chunk, entropy-coded", *(f"{q.rate.bits:.1f}" for q in qualities)),
        ("bits per chunk, as they are", *(f"{q.rate.raw_bits:.1f}" for q in qualities)),
        ("error (share of variance)", *(f"{q.error.nmse:.3g}" for q in qualities)),
        ("error, 99% (deviations)", *(f"{q.error.p99:.3g}" for q in qualities)),
        ("error, largest (deviations)", *(f"{q.error.worst:.3g}" for q in qualities)),
        ("turned by, 99% (degrees)", *(_degrees(q.error.angle_p99) for q in qualities)),
        ("jerk added", *(_share(q.error.jerk_added) for q in qualities)),
        ("codes in effective use", *(f"{q.codes.perplexity:.1f}" for q in qualities)),
        ("codes never used", *(f"{q.codes.dead:.1%}" for q in qualities)),
        ("random codes that decode", *(f"{q.robust.random:.1%}" for q in qualities)),
        ("decodable with 1% wrong codes", *(f"{q.robust.decodable[0]:.1%}" for q in qualities)),
        ("decodable with 5% wrong codes", *(f"{q.robust.decodable[1]:.1%}" for q in qualities)),
        ("encode, chunks/s", *(f"{q.speed.encode_rate:,.0f}" for q in qualities)),
        ("decode, chunks/s", *(f"{q.speed.decode_rate:,.0f}" for q in qualities)),
        ("decode one chunk, ms", *(f"{q.speed.decode_one_ms:.2f}" for q in qualities)),
    ]
    told = [row for row in rows if set(row[1:]) != {"–"}]
    return Table(("", *(q.name for q in qualities)), tuple(told))


def _per_dimension(qualities: Sequence[CodecQuality], spec: ActionSpec) -> Table:
    rows = []
    for i, dim in enumerate(spec.dims):
        errors = [
            f"{v[i]:.3g}"
            for q in qualities
            for v in (q.error.rmse_by_dim, q.error.p99_by_dim, q.error.worst_by_dim)
        ]
        rows.append((dim.name, dim.unit, *errors))
    heads = [f"{q.name} {what}" for q in qualities for what in ("RMSE", "99%", "largest")]
    return Table(("dimension", "unit", *heads), tuple(rows), "Error of decoded actions, physical units")


def _curve(points: Sequence[tuple[float, float]]) -> LineChart:
    line = Line("error", tuple(float(s) for s, _ in points), tuple(v for _, v in points))
    return LineChart("Training: squared error, normalised", (line,), x_label="step", log_y=True)


def error_bars(qualities: Sequence[CodecQuality], spec: ActionSpec, title: str = "") -> BarChart:
    """Relative errors per dimension, so that metres and radians share an axis."""
    groups = tuple(Bars(q.name, tuple(v**0.5 for v in q.error.by_dim)) for q in qualities)
    return BarChart(title or "RMSE in units of the deviation", tuple(d.name for d in spec.dims), groups)


def decode_episode(codec: ActionCodec, episode: Float32[np.ndarray, "time dim"]) -> np.ndarray:
    """What an episode's chunks decode to, one after the other, float32 [T, dim]."""
    horizon = codec.action_horizon
    whole = np.concatenate([episode, np.repeat(episode[-1:], -len(episode) % horizon, axis=0)])
    decoded = codec.decode(codec.encode(whole.reshape(-1, horizon, codec.spec.dim)))
    return decoded.reshape(-1, codec.spec.dim)[: len(episode)]


def trajectory_charts(
    codec: ActionCodec, episode: Float32[np.ndarray, "time dim"], title: str
) -> list[LineChart]:
    """An episode beside what its chunks decode to, a chart a dimension."""
    decoded = decode_episode(codec, episode)
    seconds = tuple(float(i) for i in np.arange(len(episode)) / codec.spec.control_hz)
    return [
        LineChart(
            f"{title}: {dim.name}",
            (
                Line("action", seconds, tuple(float(v) for v in episode[:, i])),
                Line("decoded", seconds, tuple(float(v) for v in decoded[:, i])),
            ),
            x_label="s",
        )
        for i, dim in enumerate(codec.spec.dims[:SHOWN_DIMS])
    ]


def _short(tokens: float) -> float | int:
    """A whole number of tokens where every chunk has it."""
    return int(tokens) if tokens == int(tokens) else round(tokens, 2)


def _degrees(angle: float | None) -> str:
    return "–" if angle is None else f"{np.degrees(angle):.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"
