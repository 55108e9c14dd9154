"""LeRobot data sets that others wrote: read by what their features are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.lerobot.info import INDEX, INFO, Feature, Info, camera_name, size_of
from vla_data.formats.lerobot.native import ACTION, SHARED, STATE, SUBTASK
from vla_data.formats.unknown import SERIES_LIMIT, unknown_robot
from vla_data.types import Camera, Episode, RobotSpec, SubStep

CLOSE = 1e-3  # seconds: float32 timestamps this near to k/fps are k/fps


@dataclass(frozen=True)
class Foreign:
    """Reads the rows of a data set by its features.

    The rate is declared, the meaning of the action is not: it is `other` in every dimension. Features
    that are depth, text or wider than a series are left out.

    Raises:
        DataError: no feature looks like an action.
    """

    info: Info

    def __post_init__(self) -> None:
        if not self.actions:
            raise DataError(
                "no feature of a data set looks like an action",
                where=str(self.info.root / INFO),
                expected="action, or numbers below it",
                got=", ".join(self.info.features),
            )

    @property
    def name(self) -> str:
        return self.info.root.name

    @property
    def actions(self) -> list[str]:
        return _joined(self.info.features, ACTION)

    @property
    def states(self) -> list[str]:
        return _joined(self.info.features, STATE)

    @property
    def robot(self) -> RobotSpec:
        said = [self._names("action", self.actions), self._names("state", self.states)]
        return unknown_robot(*said, control_hz=self.info.fps, name=self.info.robot)

    @property
    def rate_assumed(self) -> bool:
        return False  # the rate is declared

    @property
    def cameras(self) -> dict[str, Camera]:
        sizes = {camera_name(k): size_of(f) for k, f in self.info.pictures().items()}
        return {n: Camera(n, width, height, frame_rate=self.info.fps) for n, (height, width) in sizes.items()}

    @property
    def pictures(self) -> dict[str, str]:
        """Camera → the feature of its images."""
        return {camera_name(key): key for key in self.info.pictures()}

    @property
    def series(self) -> dict[str, str]:
        """Series → the feature that holds it."""
        ours = {theirs: name for name, theirs in SHARED.items()}
        taken = {*INDEX, *self.actions, *self.states, SUBTASK}
        return {
            ours.get(key, key): key
            for key, f in self.info.features.items()
            if f.is_number and key not in taken and 0 < f.width <= SERIES_LIMIT
        }

    @property
    def roles(self) -> dict[str, str]:
        """Feature → what it is in this suite's vocabulary."""
        named = dict.fromkeys(self.actions, "action") | dict.fromkeys(self.states, "state")
        named |= {"timestamp": "time", "task_index": "instruction"}
        named |= {SUBTASK: "sub-steps"} if SUBTASK in self.info.features else {}
        named |= {key: f"camera {name}" for name, key in self.pictures.items()}
        return named | {key: f"series {name}" for name, key in self.series.items()}

    def wanted(self, images: bool) -> list[str]:
        """The columns of numbers an episode is made of."""
        marks = ["timestamp", *([SUBTASK] if SUBTASK in self.info.features else [])]
        return [*self.actions, *self.states, *self.series.values(), *marks]

    def episode(
        self, numbers: Mapping[str, np.ndarray], instruction: str, extra: str, **rest: Any
    ) -> Episode:
        """The episode that these columns are; `rest` holds its images, tasks and sub-tasks."""
        steps = len(numbers["timestamp"])
        runs = _substeps(numbers.get(SUBTASK), rest["subtasks"]) or _substeps(
            rest["task_index"], rest["tasks"]
        )
        return Episode(
            id=f"episode-{rest['number']:06d}",
            robot=self.robot,
            action=_together(numbers, self.actions, steps),
            state=_together(numbers, self.states, steps),
            time=self._time(numbers["timestamp"].reshape(-1)),
            images=rest["images"],
            instruction=instruction,
            substeps=runs,
            cameras=self.cameras,
            series={n: _plain(numbers[key]) for n, key in self.series.items()},
        )

    def _time(self, stamps: np.ndarray) -> np.ndarray:
        given = stamps.astype(np.float64)
        counted = np.arange(len(given)) / self.info.fps
        return counted if np.allclose(given, counted, rtol=0, atol=CLOSE) else given - given[:1]

    def _names(self, what: str, keys: list[str]) -> list[str]:
        found: list[str] = []
        for key in keys:
            feature = self.info.features[key]
            fits = len(feature.names) == feature.width
            start = len(found)
            found += feature.names if fits else [f"{what}_{start + i}" for i in range(feature.width)]
        return found


def _joined(features: Mapping[str, Feature], key: str) -> list[str]:
    """The feature of this name, or the numbers below it."""
    numbers = {k: f for k, f in features.items() if f.is_number and f.width}
    return [key] if key in numbers else sorted(k for k in numbers if k.startswith(key + "."))


def _together(numbers: Mapping[str, np.ndarray], keys: list[str], steps: int) -> np.ndarray:
    parts = [np.asarray(numbers[k], np.float32).reshape(steps, -1) for k in keys]
    return np.concatenate(parts, axis=1) if parts else np.zeros((steps, 0), np.float32)


def _plain(values: np.ndarray) -> np.ndarray:
    """One number a step is [T] here and a list of one there."""
    return values.reshape(-1) if values.shape[1:] == (1,) else values


def _substeps(marks: np.ndarray | None, texts: Mapping[int, str]) -> tuple[SubStep, ...]:
    """Runs of the same number; an episode that is all one of them has no sub-steps."""
    marks = np.zeros(0, np.int64) if marks is None else marks.reshape(-1)
    edges = [0, *(np.flatnonzero(np.diff(marks)) + 1).tolist(), len(marks)]
    runs = [SubStep(a, b, texts.get(int(marks[a]), "")) for a, b in pairwise(edges) if a < b]
    return tuple(r for r in runs if r.text) if len(runs) > 1 else ()
