"""Statistics as sections of a page: one table across data sets, their union, then each one's spreads."""

from __future__ import annotations

from collections.abc import Sequence

from vla_data.explore.dataset_stats import NUMBERS, DatasetStats
from vla_data.explore.merging import MergedStats
from vla_data.explore.quantiles import SeriesStats
from vla_data.report import Block, Section, Table, Text


def sections(found: Sequence[DatasetStats], merged: MergedStats | None = None) -> list[Section]:
    """A page over several data sets, with their union where it was made."""
    first = [Section("Data sets", (overview(found),))]
    if merged is not None:
        first.append(_union(merged))
    return [*first, *map(_section, found)]


def overview(found: Sequence[DatasetStats]) -> Table:
    """One row a data set."""
    columns = (
        "data set", "robot", "episodes", "steps", "median length", "Hz",
        "cameras", "instructions", "words each", "action dims", "state dims",
    )  # fmt: skip
    return Table(columns, tuple(_overview_row(s) for s in found))


def _overview_row(s: DatasetStats) -> tuple[str, ...]:
    return (
        f"{s.name} ({s.split})",
        s.robot.name,
        f"{s.episodes:,}",
        f"{s.steps:,}",
        f"{s.lengths.median:g}",
        rate(s),
        ", ".join(f"{c.name} {c.width}×{c.height}" for c in s.cameras) or "none",
        f"{s.instructions:,}",
        f"{s.words.mean:.1f}",
        f"{s.action.norm.dim if s.action else 0}",
        f"{s.state.norm.dim if s.state else 0}",
    )


def rate(s: DatasetStats) -> str:
    """The control rate in a few words: what is declared, and what is measured where that differs."""
    if not s.control_hz:
        return "unknown"
    differs = s.measured_hz and abs(s.measured_hz / s.control_hz - 1) > 0.02
    return f"{s.control_hz:g}" + (f" (measured {s.measured_hz:.3g})" if differs else "")


def _union(merged: MergedStats) -> Section:
    words = f"{merged.episodes:,} episodes, {merged.steps:,} steps; every step counts once."
    blocks: list[Block] = [Text(words), *(Text(note) for note in merged.notes)]
    blocks += [series_table(what, s) for what in NUMBERS if (s := getattr(merged, what))]
    return Section("All together", tuple(blocks))


def _section(s: DatasetStats) -> Section:
    blocks: list[Block] = [Text(text) for text in left_out(s)]
    blocks += [s.lengths.chart("steps"), s.words.chart("words")]
    rows = tuple((text, f"{count:,}") for text, count in s.common_instructions)
    told = f"{s.instructions:,} different instructions of {s.vocabulary:,} different words"
    blocks.append(Table(("instruction", "episodes"), rows, told))
    if s.series:
        blocks.append(Table(("further series", "a step"), s.series))
    blocks += [series_table(what, series) for what in NUMBERS if (series := getattr(s, what))]
    blocks += [d.chart() for d in s.distributions]
    return Section(f"{s.name} ({s.split})", tuple(blocks))


def left_out(s: DatasetStats) -> list[str]:
    """What the numbers leave out, in words."""
    found = [f"{s.non_finite:,} steps hold NaN or Inf and are left out."] if s.non_finite else []
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in s.skipped)
    return found + ([f"Episodes left out: {kinds}."] if kinds else [])


def series_table(what: str, series: SeriesStats) -> Table:
    """Statistics of each dimension."""
    n = series.norm
    columns = (n.mean, n.std, n.min, n.q01, series.q50, n.q99, n.max)
    names = [d.name.removeprefix(f"{what} ") for d in series.spreads]
    rows = tuple((names[i], *(f"{c[i]:.3g}" for c in columns)) for i in range(n.dim))
    how = "exact" if series.exact else "quantiles by t-digest"
    return Table(
        (what, "mean", "std", "min", "q01", "median", "q99", "max"), rows, f"{how}, {n.count:,} steps"
    )
