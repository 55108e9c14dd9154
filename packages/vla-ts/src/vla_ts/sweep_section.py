"""One data set at one horizon, as an exploration's page shows it: plots and every figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_data.charts import BarChart, Bars, Line, LineChart
from vla_data.report import Section, Table, Text
from vla_ts.points import Point

TARGETS, TARGET = (0.1, 0.01, 0.001), 0.01  # NMSE at which codecs are shown side by side
SHOWN_DIMS = 4


def data_section(group: Sequence[Point]) -> Section:
    """One data set at one horizon."""
    first = group[0]
    shown = _nearest_to_target(group)
    measured = (
        f"{first.chunks:,} chunks of {first.horizon} steps of {len(first.dims)} numbers at {first.hz:g} Hz."
    )
    blocks = (
        Text(f"{measured} Lines join the points of a codec that no other of its points beats."),
        _rate_distortion(group, "bits per second of motion, entropy-coded"),
        _rate_distortion(group, "codes per second of motion"),
        Text(f"Below, of each codec the point nearest to NMSE {TARGET:g}: {_names(shown)}."),
        _by_dimension(shown),
        *_trajectories(shown),
        _dimension_table(shown),
        _details(group),
    )
    return Section(f"{first.data}, {first.horizon} steps", blocks)


def _rate_distortion(group: Sequence[Point], x_label: str) -> LineChart:
    """NMSE over rate: of each codec the points no other of it beats in both."""
    coded = "bits" in x_label
    lines = []
    for codec in dict.fromkeys(p.codec for p in group):
        points = [(_rate(p, coded), nmse(p)) for p in group if p.codec == codec]
        front = pareto(points)
        lines.append(Line(codec, tuple(x for x, _ in front), tuple(y for _, y in front), marks=True))
    if coded:
        quality = [p for p in group if p.quality]
        curve = sorted((p.reference_bits / _seconds(p), nmse(p)) for p in quality)
        lines.append(Line("reference", tuple(x for x, _ in curve), tuple(y for _, y in curve)))
    what = "bits" if coded else "codes"
    title = f"Error (NMSE) over {what} per second"
    return LineChart(title, tuple(lines), x_label, log_y=True)


def _rate(p: Point, coded: bool) -> float:
    assert p.quality is not None
    return p.quality.rate.bits_per_second if coded else p.quality.rate.tokens_per_second


def _seconds(p: Point) -> float:
    assert p.quality is not None
    return p.quality.rate.seconds


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points that no other beats in rate and error, by rate."""
    front: list[tuple[float, float]] = []
    for rate, error in sorted(points):
        if not front or error < front[-1][1]:
            front.append((rate, error))
    return front


def _details(group: Sequence[Point]) -> Table:
    columns = (
        "codec", "settings", "NMSE", "codes", "bits", "as they are", "reference", "largest", "turn", "jerk",
        "in use", "unused", "1% wrong", "5% wrong", "encode/s", "decode/s", "one, ms", "fit, s",
    )  # fmt: skip
    caption = (
        "Every point. Codes and bits per chunk, entropy-coded and as they are; largest error in deviations, "
        "turn that 1% exceed; jerk added; codes in effective use and never used; chunks that decode with 1% "
        "and 5% wrong codes; chunks per second; decoding one chunk."
    )
    return Table(columns, tuple(_detail_row(p) for p in group), caption)


def _detail_row(p: Point) -> tuple[str, ...]:
    q = p.quality
    assert q is not None
    return (
        p.codec,
        p.label or "defaults",
        f"{q.error.nmse:.2g}",
        f"{q.rate.tokens:.4g}",
        f"{q.rate.bits:.1f}",
        f"{q.rate.raw_bits:.1f}",
        f"{p.reference_bits:.1f}",
        f"{q.error.worst:.2g}",
        "–" if q.error.angle_p99 is None else f"{np.degrees(q.error.angle_p99):.2f}°",
        "–" if q.error.jerk_added is None else f"{q.error.jerk_added:+.1%}",
        f"{q.codes.perplexity:.1f}",
        f"{q.codes.dead:.0%}",
        *(f"{v:.1%}" for v in q.robust.decodable),
        f"{q.speed.encode_rate:,.0f}",
        f"{q.speed.decode_rate:,.0f}",
        f"{q.speed.decode_one_ms:.2f}",
        f"{p.fit_seconds:.1f}",
    )


def _nearest_to_target(group: Sequence[Point]) -> list[Point]:
    """Of each codec the point whose error is nearest to the target."""
    codecs = dict.fromkeys(p.codec for p in group)
    return [min((p for p in group if p.codec == c), key=lambda p: distance(p, TARGET)) for c in codecs]


def _names(shown: Sequence[Point]) -> str:
    return "; ".join(f"{p.codec} ({p.label or 'defaults'}), NMSE {nmse(p):.2g}" for p in shown)


def _by_dimension(shown: Sequence[Point]) -> BarChart:
    bars = tuple(Bars(p.codec, tuple(v**0.5 for v in p.quality.error.by_dim)) for p in shown if p.quality)
    return BarChart("RMSE per dimension, in deviations", shown[0].dims, bars)


def _dimension_table(shown: Sequence[Point]) -> Table:
    """What the reference needs for the error each codec has, dimension by dimension."""
    rows = tuple(
        (
            p.codec,
            f"{p.quality.rate.bits:.1f}",
            f"{p.reference_bits:.1f}",
            *map("{:.1f}".format, p.reference_by_dim),
        )
        for p in shown
        if p.quality and p.reference_by_dim
    )
    caption = (
        "Bits per chunk: the codec's, the reference's at its error, and of each dimension alone at the error "
        "the codec has there"
    )
    return Table(("codec", "codec's", "reference", *shown[0].dims), rows, caption)


def _trajectories(shown: Sequence[Point]) -> list[LineChart]:
    """The beginning of a held-out episode beside what codecs make of it, a chart a dimension."""
    first = shown[0]
    seconds = tuple(i / first.hz for i in range(len(first.real)))
    return [
        LineChart(
            f"A held-out episode: {dim}",
            (
                *(Line(p.codec, seconds, tuple(row[i] for row in p.decoded)) for p in shown),
                Line("real", seconds, tuple(row[i] for row in first.real)),
            ),
            x_label="s",
        )
        for i, dim in enumerate(first.dims[:SHOWN_DIMS])
    ]


def nmse(point: Point) -> float:
    """Its error, of a point that was measured."""
    assert point.quality is not None
    return point.quality.error.nmse


def distance(point: Point, target: float) -> float:
    """How far its error is from a target, in powers of e."""
    return abs(float(np.log(max(nmse(point), 1e-12) / target)))
