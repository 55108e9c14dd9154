"""What codecs are fitted to and measured on: the actions or states of a data set's episodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32

from vla_data.chunks import pad_actions
from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import atomic_path
from vla_data.normalize import NormStats
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.types import ActionDim, ActionSpec, RobotSpec
from vla_data.usable import Requirements, Skipped, usable_episodes
from vla_ts.resample import resample, respec

Series = Literal["action", "state"]
STATE_LIMIT = 1e6  # a state has no limits of its own, and JSON no infinity
ANGLES = ("roll", "pitch", "yaw")


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Series of one meaning: float32 [T, dim] per episode, T ≥ 1, all numbers finite."""

    name: str
    spec: ActionSpec
    episodes: tuple[np.ndarray, ...]

    @property
    def steps(self) -> int:
        return sum(len(e) for e in self.episodes)

    def stats(self) -> NormStats:
        """Statistics over every step."""
        return NormStats.of(self.episodes, self.name)

    def chunks(self, horizon: int, limit: int | None = None) -> Float32[np.ndarray, "n horizon dim"]:
        """Every run of `horizon` steps, one step apart; a shorter episode gives one, padded.

        Unlike a policy's chunks (`vla_data.chunks`), none reaches past its episode's end where it need
        not: repeated last rows are no motion, and would make every codec look better than it is.

        Args:
            limit: keep about so many, evenly spread.
        """
        if horizon < 1:
            raise ConfigError("a chunk needs one step at least", where="horizon", got=str(horizon))
        whole = [e if len(e) >= horizon else pad_actions(e, horizon)[:horizon] for e in self.episodes]
        views = [np.lib.stride_tricks.sliding_window_view(e, horizon, axis=0) for e in whole]
        count = sum(len(v) for v in views)
        stride = 1 if limit is None else max(1, -(-count // max(1, limit)))
        begins = np.cumsum([0, *(len(v) for v in views[:-1])])
        picked = [v[-b % stride :: stride] for b, v in zip(begins, views, strict=True)]
        return np.concatenate(picked).transpose(0, 2, 1).astype(np.float32, order="C")

    def split(self, share: float, seed: int = 0) -> tuple[Self, Self]:
        """Whole episodes to learn from and to measure on; see `vla_ts.trajectories.split`."""
        learnt, held = split(list(self.episodes), share, seed)
        return self._of(learnt), self._of(held)

    def folds(self, count: int, seed: int = 0) -> list[tuple[Self, Self]]:
        """`count` pairs (learn from, measure on); every episode is measured on in one of them.

        Raises:
            ConfigError: fewer than two folds, or fewer episodes than folds.
        """
        if not 2 <= count <= len(self.episodes):
            raise ConfigError(
                "episodes cannot be divided like this",
                where=self.name,
                expected=f"2 … {len(self.episodes)} folds",
                got=str(count),
            )
        order = np.random.default_rng(seed).permutation(len(self.episodes))
        held = [sorted(order[i::count].tolist()) for i in range(count)]
        return [
            (
                self._of([e for i, e in enumerate(self.episodes) if i not in some]),
                self._of([self.episodes[i] for i in some]),
            )
            for some in held
        ]

    def _of(self, episodes: list[np.ndarray]) -> Self:
        return type(self)(self.name, self.spec, tuple(episodes))

    def save(self, path: Path) -> None:
        """Write one .npz file, whole or not at all."""
        lengths = np.array([len(e) for e in self.episodes])
        about = json.dumps({"name": self.name, "spec": to_dict(self.spec)})
        with atomic_path(path) as part, part.open("wb") as handle:
            np.savez_compressed(
                handle, rows=np.concatenate(self.episodes), lengths=lengths, about=np.array(about)
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises DataError when the file is not one that `save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as file:
                rows, lengths, about = file["rows"], file["lengths"], json.loads(str(file["about"]))
            episodes = tuple(np.split(rows, np.cumsum(lengths)[:-1]))
            return cls(str(about["name"]), from_dict(ActionSpec, about["spec"], str(path)), episodes)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError("a file of series cannot be read", where=str(path), got=str(error)) from error


def read_trajectories(
    source: EpisodeSource,
    series: Series = "action",
    hz: float | None = None,
    *,
    skip_corrupt: bool = False,
    skipped: list[Skipped] | None = None,
    on_progress: OnProgress = no_progress,
) -> Trajectories:
    """The series of every usable episode, images left unread where the source can do without.

    Args:
        source: an open data set.
        series: which of its series.
        hz: the rate to bring them to; None keeps theirs.
        skip_corrupt: leave out episodes that are damaged, empty or hold NaN instead of raising.
        skipped: each episode left out is added here.

    Raises:
        DataError: an episode cannot be used, or none is left.
    """
    spec = series_spec(source, series)
    episodes = tuple(
        values
        for _, _, values in read_series(
            source, series, hz, skip_corrupt=skip_corrupt, skipped=skipped, on_progress=on_progress
        )
    )
    if not episodes:
        raise DataError(
            f"there is no {series} to learn from",
            where=source.name,
            expected="one usable episode at least",
            got=f"{len(source)} episodes, {len(skipped or ())} left out",
        )
    return Trajectories(source.name, spec if hz is None else respec(spec, hz), episodes)


def read_series(
    source: EpisodeSource,
    series: Series = "action",
    hz: float | None = None,
    *,
    skip_corrupt: bool = False,
    skipped: list[Skipped] | None = None,
    on_progress: OnProgress = no_progress,
) -> Iterator[tuple[int, str, np.ndarray]]:
    """(index, id, series) of every usable episode, one after the other; see `read_trajectories`."""
    spec = series_spec(source, series)
    rate = spec.control_hz if hz is None else hz
    require = Requirements(min_steps=1)
    for index, episode in usable_episodes(source, require, skip_corrupt=skip_corrupt, skipped=skipped):
        values = _values(episode.action if series == "action" else episode.state, spec, source.name, index)
        yield index, episode.id, resample(values, spec, rate)
        on_progress(Progress(f"read {series}s", index + 1, len(source), "episodes"))


def series_spec(source: EpisodeSource, series: Series) -> ActionSpec:
    """What the numbers of a data set's series mean, at its own rate."""
    return source.robot.action if series == "action" else state_spec(source.robot)


def _values(values: np.ndarray, spec: ActionSpec, name: str, index: int) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.shape[1:] != (spec.dim,):
        raise DataError(
            "an episode's series is not as wide as its robot says",
            where=f"{name}, episode {index}",
            expected=f"[T, {spec.dim}]",
            got=f"{list(values.shape)}",
            next_step="vla data inspect shows what the episodes hold",
        )
    return values


def state_spec(robot: RobotSpec) -> ActionSpec:
    """What the numbers of a robot's state mean, in the words for actions.

    Raises:
        DataError: the robot has no state.
    """
    if not robot.state:
        raise DataError("a robot without a state", where=robot.name, next_step="use --series action")
    quantities = {"m": "position", "rad": "joint"}
    dims = tuple(
        ActionDim(
            d.name,
            "rotation" if d.name in ANGLES else quantities.get(d.unit, "other"),  # type: ignore[arg-type]
            "absolute",
            "none",
            d.unit,
            low=-STATE_LIMIT,
            high=STATE_LIMIT,
        )
        for d in robot.state
    )
    angles = [d.name for d in robot.state if d.name in ANGLES]
    return ActionSpec(dims, robot.action.control_hz, "euler_xyz" if angles == list(ANGLES) else "none")


def split(actions: list[np.ndarray], share: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Whole episodes to learn from and to measure on; one at least of each where there are two."""
    count = min(len(actions) - 1, max(1, round(share * len(actions)))) if share > 0 else 0
    order = np.random.default_rng(seed).permutation(len(actions))
    held = set(order[:count].tolist())
    return [a for i, a in enumerate(actions) if i not in held], [actions[i] for i in sorted(held)]
