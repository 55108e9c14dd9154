"""What is odd about the numbers and words of a data set, found while its episodes go by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vla_data.normalize import MIN_SPREAD
from vla_data.types import Episode, RobotSpec

FEW_GRASPS = 5  # episodes whose gripper moves, before its sign is doubted
MOST = 0.8  # of them, that begin the other way round
RATE_SLACK = 0.05


@dataclass
class SeriesChecks:
    """Looks at one episode after the other and keeps counts only."""

    robot: RobotSpec
    episodes: int = 0
    bad: dict[str, list[int]] = field(default_factory=lambda: {"action": [], "state": [], "time": []})
    low: dict[str, np.ndarray] = field(default_factory=dict)
    high: dict[str, np.ndarray] = field(default_factory=dict)
    backwards: list[int] = field(default_factory=list)
    short: Counter[int] = field(default_factory=Counter)
    silent: int = 0
    gaps: list[float] = field(default_factory=list)
    opens_first: int = 0
    closes_first: int = 0

    def add(self, index: int, episode: Episode) -> None:
        self.episodes += 1
        self.silent += not episode.instruction.strip()
        if len(episode) < 2:
            self.short[len(episode)] += 1
        for what in ("action", "state"):
            self._numbers(index, what, getattr(episode, what))
        self._time(index, episode.time)
        self._gripper(episode.action)

    def _numbers(self, index: int, what: str, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            self.bad[what].append(index)
            values = values[np.isfinite(values).all(axis=1)]
        if len(values):
            low, high = values.min(axis=0), values.max(axis=0)
            self.low[what] = np.minimum(self.low[what], low) if what in self.low else low
            self.high[what] = np.maximum(self.high[what], high) if what in self.high else high

    def _time(self, index: int, time: np.ndarray) -> None:
        if not np.isfinite(time).all():
            self.bad["time"].append(index)
        elif len(time) > 1:
            gaps = np.diff(time)
            self.gaps.append(float(np.sort(gaps)[len(gaps) // 2]))
            if (gaps < 0).any():
                self.backwards.append(index)

    def _gripper(self, action: np.ndarray) -> None:
        """Which way the gripper goes first: things are grasped before they are let go."""
        for i, dim in enumerate(self.robot.action.dims[: action.shape[1]]):
            if dim.quantity != "gripper" or self.robot.action.gripper_closes is None:
                continue
            first = _first_move(action[:, i], (dim.low + dim.high) / 2, dim.mode == "absolute")
            self.closes_first += first == self.robot.action.gripper_closes
            self.opens_first += first == -self.robot.action.gripper_closes

    def warnings(self, rate_assumed: bool) -> Iterator[str]:
        """Everything found, most serious first."""
        for what, where in self.bad.items():
            yield from self._among(where, f"{what} holds NaN or Inf")
        yield from self._among(self.backwards, "time runs backwards")
        for steps, count in sorted(self.short.items()):
            length = f"{steps} step{'s' * (steps != 1)}"
            yield f"{count} of {self.episodes} episodes have {length}: they hold no motion"
        yield from self._constant()
        yield from self._language()
        yield from self._sign()
        yield from self._rate(rate_assumed)

    def _among(self, where: list[int], what: str) -> Iterator[str]:
        if where:
            yield f"{what} in {len(where)} of {self.episodes} episodes, the first is {where[0]}"

    def _constant(self) -> Iterator[str]:
        names = {
            "action": [d.name for d in self.robot.action.dims],
            "state": [d.name for d in self.robot.state],
        }
        for what, columns in names.items():
            low, high = self.low.get(what, np.zeros(0)), self.high.get(what, np.zeros(0))
            for i in np.flatnonzero(high - low < MIN_SPREAD):
                name = columns[i] if i < len(columns) else str(i)
                yield f"{what} dimension {i} ({name}) is constant: {low[i]:g} at every step"

    def _language(self) -> Iterator[str]:
        if self.episodes and self.silent == self.episodes:
            yield "no episode has an instruction"
        elif self.silent:
            yield f"{self.silent} of {self.episodes} episodes have no instruction"

    def _sign(self) -> Iterator[str]:
        moved = self.opens_first + self.closes_first
        if moved >= FEW_GRASPS and self.opens_first >= MOST * moved:
            sign = self.robot.action.gripper_closes
            yield (
                f"suspicion: the gripper's sign is inverted: its entry says {sign:+d} closes, and by that "
                f"{self.opens_first} of {moved} episodes open it before they ever close it"
            )

    def _rate(self, assumed: bool) -> Iterator[str]:
        middle = float(np.median(self.gaps)) if self.gaps else 0.0
        declared = self.robot.action.control_hz
        if not assumed and middle > 0 and abs(1 / middle / declared - 1) > RATE_SLACK:
            yield f"a step takes {middle:.4g} s, {1 / middle:.4g} Hz, where {declared:g} Hz is declared"


def _first_move(values: np.ndarray, middle: float, absolute: bool) -> int:
    """Direction of a gripper's first change: 1 up, -1 down, 0 when it keeps still."""
    if absolute:
        above = values[np.isfinite(values)] > middle
        changed = np.flatnonzero(above != above[0]) if len(above) else above
        return (1 if above[changed[0]] else -1) if len(changed) else 0
    moving = np.flatnonzero(np.abs(values) > 0.5)
    return int(np.sign(values[moving[0]])) if len(moving) else 0
