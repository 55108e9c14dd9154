"""Statistics in the files that other code bases read.

- openvla: `dataset_statistics.json` of OpenVLA and Octo: data set → action and proprio, with counts. `mask`
  is false for grippers, which they do not normalise.
- openpi: `norm_stats.json`: state and actions, of everything together.
- lerobot: `meta/stats.json` of a LeRobotDataset v3: feature → statistics with five quantiles and a count.

The numbers are those of the data as this suite reads it. OpenVLA maps grippers to 1 = open first, and
openpi may turn positions into differences first; whoever does so has to do it with these as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vla_data.errors import DataError
from vla_data.explore.dataset_stats import DatasetStats
from vla_data.explore.merging import merge_stats, require_series
from vla_data.explore.quantiles import SeriesStats
from vla_data.files import write_json
from vla_data.registry import lookup


def export_stats(found: Sequence[DatasetStats], format: str) -> dict[str, Any]:
    """The statistics of data sets in a foreign format, as JSON-ready values.

    Raises:
        UnknownNameError: there is no such format.
        DataError: a format wants one robot and the data sets differ in width.
    """
    return lookup("statistics format", FORMATS, format)(found)


def write_stats(path: Path, found: Sequence[DatasetStats], format: str) -> None:
    """`export_stats` as a file."""
    write_json(path, export_stats(found, format))


def _openvla(found: Sequence[DatasetStats]) -> dict[str, Any]:
    names = [s.name for s in found]
    if len(set(names)) < len(names):
        raise DataError(
            "two data sets have one name, by which OpenVLA would find its statistics",
            expected="names that differ",
            got=", ".join(names),
            next_step="write the statistics of each by itself",
        )
    return {s.name: _openvla_entry(s) for s in found}


def _openvla_entry(s: DatasetStats) -> dict[str, Any]:
    action = require_series(s.action, "action", [])
    grippers = [d.quantity == "gripper" for d in s.robot.action.dims]
    entry: dict[str, Any] = {"action": _openvla_series(action) | {"mask": [not g for g in grippers]}}
    if s.state is not None:
        entry["proprio"] = _openvla_series(s.state)
    return entry | {"num_transitions": s.steps, "num_trajectories": s.episodes}


def _openvla_series(series: SeriesStats) -> dict[str, list[float]]:
    return {name: list(getattr(series.norm, name)) for name in ("mean", "std", "max", "min", "q01", "q99")}


def _openpi(found: Sequence[DatasetStats]) -> dict[str, Any]:
    whole = merge_stats(found)
    named = {"state": whole.state, "actions": require_series(whole.action, "action", whole.notes)}
    names = ("mean", "std", "q01", "q99")
    stats = {k: {n: list(getattr(s.norm, n)) for n in names} for k, s in named.items() if s is not None}
    return {"norm_stats": stats}


def _lerobot(found: Sequence[DatasetStats]) -> dict[str, Any]:
    whole = merge_stats(found)
    named = {"action": require_series(whole.action, "action", whole.notes), "observation.state": whole.state}
    return {key: _lerobot_series(s) for key, s in named.items() if s is not None}


def _lerobot_series(series: SeriesStats) -> dict[str, list[float] | list[int]]:
    outer = {n: list(getattr(series.norm, n)) for n in ("min", "max", "mean", "std")}
    inner = {"q10": list(series.q10), "q50": list(series.q50), "q90": list(series.q90)}
    ends = {"q01": list(series.norm.q01), "q99": list(series.norm.q99)}
    return {**outer, "count": [series.norm.count], **ends, **inner}


FORMATS: dict[str, Callable[[Sequence[DatasetStats]], dict[str, Any]]] = {
    "openvla": _openvla,
    "openpi": _openpi,
    "lerobot": _lerobot,
}
