"""Two evaluations on the same placements: is one policy better than the other?

Trials are matched by task and placement. The difference of the rates comes with Newcombe's interval for
pairs, and the exact p of McNemar's test says whether the trials that only one of them won could have fallen
out alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError, SpecMismatchError
from vla_data.files import read_json
from vla_data.report import Section, Table, Text
from vla_model.eval_config import Arm, EvalConfig, TrialRecord
from vla_model.statistics import Pairs, mcnemar, newcombe_interval

RECORDS, RESULTS = "records", "results.json"
FREE = (
    "trials",
    "tasks",
    "videos",
    "threads",
    "execute",
    "latency",
)  # what two comparable protocols may differ in
TOTAL = "all"


@dataclass(frozen=True)
class Row:
    """One task, or `all`.

    Args:
        first, second: successes.
        trials: that both tried.
        difference: of the rates, first less second; with its 95% interval.
        p: two-sided, exact.
    """

    task: str
    first: int
    second: int
    trials: int
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """Rows of tasks and of all; trials that only one of them tried are left out and counted."""

    first: str
    second: str
    rows: tuple[Row, ...]
    left_out: int

    @property
    def total(self) -> Row:
        return self.rows[-1]

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return to_dict(self)

    def section(self) -> Section:
        """A table, and what it says in a sentence."""
        cells = tuple(
            (
                r.task,
                f"{r.first}/{r.trials}",
                f"{r.second}/{r.trials}",
                f"{100 * r.difference:+.1f}",
                f"{100 * r.low:+.1f} … {100 * r.high:+.1f}",
                f"{r.p:.2g}",
            )
            for r in self.rows
        )
        columns = ("", self.first, self.second, "difference, points", "95%", "p")
        return Section("Comparison", (Text(self.verdict()), Table(columns, cells)))

    def verdict(self) -> str:
        """Whether they can be told apart."""
        total = self.total
        if total.low > 0 or total.high < 0:
            better = self.first if total.difference > 0 else self.second
            said = f"{better} is better"
        else:
            said = "they cannot be told apart"
        more = f"; {self.left_out} trials that only one of them tried are left out" if self.left_out else ""
        return (
            f"On {total.trials} placements that both tried, {said}: {100 * total.difference:+.1f} points, "
            f"95% {100 * total.low:+.1f} … {100 * total.high:+.1f}, exact p {total.p:.2g}{more}."
        )


def compare(first: Path, second: Path, arms: Sequence[str] = ()) -> Comparison:
    """Compare the arms of two evaluations.

    Args:
        first, second: run directories of `vla eval`, or one and the same.
        arms: which row of each, none or two; not needed where there is one, or one called `policy`.

    Raises:
        DataError: a directory holds no evaluation, an unfinished one, or nothing that both tried.
        SpecMismatchError: the protocols differ.
        ConfigError: it is not clear which arm is meant.
    """
    _require_same_protocol(first, second)
    if len(arms) not in (0, 2):
        raise ConfigError(
            "two evaluations have two arms", where="arms", expected="two names", got=str(list(arms))
        )
    wanted = tuple(arms) or (None, None)
    names = _arm_of(first, wanted[0]), _arm_of(second, wanted[1])
    one, other = (_outcomes(path, name) for path, name in zip((first, second), names, strict=True))
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise DataError(
            "two evaluations share no placement",
            where=f"{first} and {second}",
            expected="the same tasks and split",
            got=f"{len(one)} and {len(other)} trials",
        )
    tasks = list(dict.fromkeys(task for task, _ in shared))
    groups = [(task, [k for k in shared if k[0] == task]) for task in tasks]
    rows = tuple(_row(task, [(one[k], other[k]) for k in keys]) for task, keys in [*groups, (TOTAL, shared)])
    labels = _labels(first, second, names)
    return Comparison(*labels, rows, len(one) + len(other) - 2 * len(shared))


def _row(task: str, outcomes: list[tuple[bool, bool]]) -> Row:
    pairs = Pairs.of([a for a, _ in outcomes], [b for _, b in outcomes])
    low, high = newcombe_interval(pairs)
    first, second = pairs.both + pairs.first_only, pairs.both + pairs.second_only
    return Row(task, first, second, pairs.count, (first - second) / pairs.count, low, high, mcnemar(pairs))


def _labels(first: Path, second: Path, names: tuple[str, str]) -> tuple[str, str]:
    """Names that differ."""
    if names[0] != names[1]:
        return names
    return f"{first.name}: {names[0]}", f"{second.name}: {names[1]}"


def _require_same_protocol(first: Path, second: Path) -> None:
    """Raise where a switch of the protocol differs that outcomes depend on."""
    kept = [{k: v for k, v in to_dict(_protocol(path)).items() if k not in FREE} for path in (first, second)]
    differing = [k for k in kept[0] if kept[0][k] != kept[1][k]]
    if differing:
        raise SpecMismatchError(
            "two evaluations follow different protocols",
            where=f"{first} and {second}",
            expected=", ".join(f"{k} {kept[0][k]}" for k in differing),
            got=", ".join(f"{k} {kept[1][k]}" for k in differing),
            next_step="evaluate one of them again with: "
            + " ".join(f"--set {k}={kept[0][k]}" for k in differing),
        )


def _protocol(path: Path) -> EvalConfig:
    found = path / RESULTS
    if not found.is_file():
        raise DataError(
            "there is no finished evaluation here",
            where=str(path),
            expected=RESULTS,
            next_step="make one: vla eval metaworld --checkpoint RUN --tasks … --out DIR",
        )
    return from_dict(EvalConfig, read_json(found)["config"], where=str(found))


def _arm_of(path: Path, wanted: str | None) -> str:
    """The name of an arm."""
    names = list(dict.fromkeys(row["arm"] for row in read_json(path / RESULTS)["table"]))
    chosen = wanted or (names[0] if len(names) == 1 else "policy")
    if chosen not in names:
        raise ConfigError(
            "it is not clear which arm is meant",
            where=str(path),
            expected=" or ".join(names),
            got=wanted or "none",
        )
    return chosen


def _outcomes(path: Path, arm: str) -> dict[tuple[str, int], bool]:
    """(task, seed) → success, of the trials that could be judged."""
    files = sorted((path / RECORDS / Arm(arm, "").slug).rglob("*.json"))
    rows = [from_dict(TrialRecord, row, where=str(f)) for f in files for row in read_json(f)]
    return {(row.task, row.seed): row.success for row in rows if not row.error}
