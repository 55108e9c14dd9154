"""Several data sets taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vla_data.errors import DataError
from vla_data.explore.dataset_stats import NUMBERS, DatasetStats, series_dict
from vla_data.explore.quantiles import SeriesStats, merge_series


@dataclass(frozen=True)
class MergedStats:
    """The numbers of the union of data sets.

    Args:
        action, state: quantiles are those of merged t-digests, or exact where only one data set has any;
            None where nothing can be merged.
        notes: what was not merged, and what was although it means different things.
    """

    datasets: tuple[str, ...]
    episodes: int
    steps: int
    action: SeriesStats | None
    state: SeriesStats | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        counts = {"episodes": self.episodes, "steps": self.steps}
        series = {what: series_dict(getattr(self, what)) for what in NUMBERS}
        return {"datasets": list(self.datasets), **counts, **series, "notes": list(self.notes)}


def merge_stats(found: Sequence[DatasetStats]) -> MergedStats:
    """The union of data sets whose statistics were made with `sketch`; every step counts once.

    A series is merged when all that have it agree on its width. That actions of one width may still mean
    different things is said in `notes`.
    """
    merged, notes = {}, []
    for what in NUMBERS:
        merged[what], said = _merge(found, what)
        notes += said
    return MergedStats(
        datasets=tuple(f"{s.name} ({s.split})" for s in found),
        episodes=sum(s.episodes for s in found),
        steps=sum(s.steps for s in found),
        notes=tuple(notes),
        **merged,
    )


def _merge(found: Sequence[DatasetStats], what: str) -> tuple[SeriesStats | None, list[str]]:
    parts = [(s, part) for s in found if (part := getattr(s, what)) is not None]
    if not parts:
        return None, [f"no data set has any {what}"]
    if len(parts) == 1:
        return parts[0][1], []
    widths = {part.norm.dim for _, part in parts}
    if len(widths) > 1:
        told = ", ".join(f"{s.name} {part.norm.dim}" for s, part in parts)
        return None, [f"{what}: not merged, widths differ ({told})"]
    first, part = parts[0]
    notes = [note for s, _ in parts[1:] for note in _different(first, s, what)]
    return merge_series([p for _, p in parts], [d.name for d in part.spreads]), notes


def _different(first: DatasetStats, other: DatasetStats, what: str) -> list[str]:
    if what == "action":
        found = first.robot.action.differences(other.robot.action)
    else:
        pairs = zip(first.robot.state, other.robot.state, strict=False)
        found = [f"dim {i}: {a} != {b}" for i, (a, b) in enumerate(pairs) if a != b]
    if not found:
        return []
    more = f", and {len(found) - 1} more differences" if len(found) > 1 else ""
    return [f"{what}: merged, but {first.name} and {other.name} mean different things: {found[0]}{more}"]


def require_series(series: SeriesStats | None, what: str, notes: Sequence[str]) -> SeriesStats:
    """`series`, or an error that says why there is none.

    Raises:
        DataError: there is none.
    """
    if series is None:
        raise DataError(
            f"there is no {what} to write statistics of",
            where="; ".join(n for n in notes if n.startswith((what, "no"))) or None,
            expected="data sets that have it, of one width",
            next_step="name data sets of one robot, or write each one's statistics by itself",
        )
    return series
