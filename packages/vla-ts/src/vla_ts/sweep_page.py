"""What an exploration found: a table, a CSV file, and a page of plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_data.config import to_dict
from vla_data.files import write_bytes
from vla_data.report import Block, Section, Table, Text, write_page
from vla_ts.points import Point
from vla_ts.sweep_section import TARGETS, data_section, distance, nmse

if TYPE_CHECKING:
    from vla_ts.sweep import ExploreConfig

CSV, PAGE = "points.csv", "explore.html"


def write_results(
    points: Sequence[Point], config: ExploreConfig, out: Path, skipped: int
) -> tuple[dict[str, Any], list[Section]]:
    """Write `points.csv` and `explore.html`; give the summary and the sections."""
    measured = [p for p in points if p.quality]
    failed = [p for p in points if not p.quality]
    groups = [[p for p in measured if (p.data, p.horizon) == key] for key in _keys(measured)]
    sections = [_overview(measured, failed, config, skipped), *(data_section(group) for group in groups)]
    write_bytes(out / CSV, _csv(measured).encode())
    write_page(out / PAGE, "Codecs of robot motion", sections, _subtitle(config))
    summary = {
        "points": len(measured),
        "not_fitted": len(failed),
        "skipped_episodes": skipped,
        "nearest_to_reference": {
            f"{group[0].data}, horizon {group[0].horizon}": _nearest(group) for group in groups
        },
        "table": CSV,
        "page": PAGE,
    }
    return summary, sections


def _keys(points: Sequence[Point]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((p.data, p.horizon) for p in points))


def _nearest(group: Sequence[Point]) -> str:
    best = min(group, key=lambda p: p.gap)
    return f"{best.codec} ({best.label or 'defaults'}): {best.gap:+.1f} bits at NMSE {nmse(best):.3g}"


def _subtitle(config: ExploreConfig) -> str:
    measured = (
        f"{config.folds}-fold by episode" if config.folds > 1 else f"{config.holdout:.0%} of the episodes"
    )
    return f"Measured on held-out episodes ({measured}); horizons {', '.join(map(str, config.horizons))}"


def _overview(
    points: Sequence[Point], failed: Sequence[Point], config: ExploreConfig, skipped: int
) -> Section:
    columns = ("data", "steps", "codec", "settings", "codes/s", "bits/s", "NMSE", "99%", "reference", "gap")
    rows = [_short_row(p) for p in points if p in _side_by_side(points, p)]
    same = [i for i in (0, 1) if len({row[i] for row in rows}) == 1]  # said once, in the section's title
    text = (
        f"Of each codec the points nearest to NMSE {', '.join(f'{t:g}' for t in TARGETS)}. Bits are those "
        "of an ideal entropy coder that learnt from the training chunks; NMSE is the share of variance lost; "
        "99% is the error in deviations that one number in a hundred exceeds. The reference is what a "
        f"Gaussian of the same covariance ({config.reference}) needs at that NMSE, the gap what the codec "
        "spends beyond it: bits per second of motion."
    )
    blocks: list[Block] = [Text(text), Table(_without(columns, same), tuple(_without(r, same) for r in rows))]
    if failed:
        reasons = tuple((p.data, str(p.horizon), p.codec, p.label, p.reason) for p in failed)
        blocks.append(Table(("data", "steps", "codec", "settings", "reason"), reasons, "Not fitted"))
    if skipped:
        blocks.append(Text(f"{skipped} episodes that cannot be used were left out."))
    title = "Codecs" + "".join(f", {rows[0][i]}{' steps' if i else ''}" for i in same)
    return Section(title, tuple(blocks))


def _without(row: tuple[str, ...], columns: Sequence[int]) -> tuple[str, ...]:
    return tuple(cell for i, cell in enumerate(row) if i not in columns)


def _side_by_side(points: Sequence[Point], like: Point) -> list[Point]:
    """Of a point's codec, data set and horizon the points nearest to each target."""
    key = (like.data, like.horizon, like.codec)
    group = [p for p in points if (p.data, p.horizon, p.codec) == key]
    return [min(group, key=lambda p, t=t: distance(p, t)) for t in TARGETS]


def _short_row(p: Point) -> tuple[str, ...]:
    assert p.quality is not None
    rate, per_second = p.quality.rate, 1 / p.quality.rate.seconds
    return (
        p.data,
        str(p.horizon),
        p.codec,
        p.label or "defaults",
        f"{rate.tokens_per_second:.1f}",
        f"{rate.bits_per_second:.1f}",
        f"{nmse(p):.2g}",
        f"{p.quality.error.p99:.2g}",
        f"{p.reference_bits * per_second:.1f}",
        f"{p.gap * per_second:+.1f}",
    )


def _csv(points: Sequence[Point]) -> str:
    """Every figure of every point; per-dimension figures joined by blanks."""
    table = io.StringIO()
    rows = [_flat(p) for p in points]
    if rows:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return table.getvalue()


def _flat(p: Point) -> dict[str, Any]:
    row: dict[str, Any] = {"data": p.data, "horizon": p.horizon, "codec": p.codec, "settings": p.label}
    row |= {"chunks": p.chunks, "fit_seconds": p.fit_seconds, "gap_bits": p.gap}
    row |= {"reference_bits": p.reference_bits, "reference_bits_by_dim": p.reference_by_dim}
    for part, figures in to_dict(p.quality).items():
        row |= {f"{part}_{k}": v for k, v in figures.items()} if isinstance(figures, dict) else {}
    return {k: " ".join(map(str, v)) if isinstance(v, (list, tuple)) else v for k, v in row.items()}
