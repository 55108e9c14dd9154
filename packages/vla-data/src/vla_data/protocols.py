"""The contracts between rooms. Anything that keeps one of these can stand in for any other that does;
`tests/contracts/` runs one suite over every implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.types import (
    ActionChunk,
    ActionSpec,
    Camera,
    Episode,
    InputSpec,
    Observation,
    ObservationWindow,
    RobotSpec,
    StepResult,
    Trial,
)


@dataclass(frozen=True)
class Progress:
    """How far a piece of long work has come. `total` is None while unknown."""

    stage: str
    done: float
    total: float | None = None
    unit: str = "steps"
    metrics: dict[str, float] = field(default_factory=dict)
    message: str = ""


OnProgress = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """The callback that draws nothing."""


@runtime_checkable
class EpisodeSource(Protocol):
    """Episodes by index. Picklable: workers open their own files on first use."""

    @property
    def name(self) -> str: ...
    @property
    def robot(self) -> RobotSpec: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Episode: ...


@runtime_checkable
class EpisodeReader(EpisodeSource, Protocol):
    """An `EpisodeSource` over files of one format. `read_series` reads no image."""

    @classmethod
    def open(cls, path: Path, split: str = "train") -> Self: ...
    def read_series(self, index: int) -> Episode: ...


@runtime_checkable
class EpisodeWriter(Protocol):
    """Writes episodes; files appear under their final name only when `close` succeeded.

    Used as a context manager: leaving it by an exception writes nothing.
    """

    def write(self, episode: Episode) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class ActionCodec(Protocol):
    """Action chunks to codes and back.

    `encode` takes float32 [N, action_horizon, action_dim] and gives int64 [N, tokens_per_chunk], each in
    [0, vocab_size); `decode` is defined on every such array. `tokens_per_chunk` is None for a codec whose
    chunks differ in length; its codes are then padded with -1.
    """

    @property
    def spec(self) -> ActionSpec: ...
    @property
    def action_horizon(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def tokens_per_chunk(self) -> int | None: ...
    def encode(self, chunks: Float32[np.ndarray, "n horizon dim"]) -> Int64[np.ndarray, "n tokens"]: ...
    def decode(self, codes: Int64[np.ndarray, "n tokens"]) -> Float32[np.ndarray, "n horizon dim"]: ...
    def save(self, directory: Path) -> None: ...
    @classmethod
    def load(cls, directory: Path) -> Self: ...


@runtime_checkable
class Policy(Protocol):
    """Observations to actions; the same whether it runs here, elsewhere or is scripted.

    `reset(slots, seeds)` says that the episodes in these slots begin anew; a seed is all the randomness
    an episode may use, so that an outcome does not depend on what runs beside it.
    """

    @property
    def input_spec(self) -> InputSpec: ...
    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None: ...
    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]: ...


@runtime_checkable
class SimEnv(Protocol):
    """`num_envs` simulated environments behind one object, addressed by slot.

    Stepping and looking are apart, so that nothing is rendered that nobody looks at. A slot that reported
    `ended` keeps still until it is reset.
    """

    @property
    def num_envs(self) -> int: ...
    @property
    def robot(self) -> RobotSpec: ...
    @property
    def cameras(self) -> tuple[Camera, ...]: ...
    @property
    def tasks(self) -> tuple[str, ...]: ...
    def max_steps(self, task: str) -> int: ...
    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None: ...
    def step(
        self, slots: Sequence[int], actions: Float32[np.ndarray, "n action_dim"]
    ) -> list[StepResult]: ...
    def observe(
        self,
        slots: Sequence[int],
        *,
        images: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        privileged: bool = False,
    ) -> list[Observation]: ...
    def close(self) -> None: ...


@runtime_checkable
class ContinuingEnv(SimEnv, Protocol):
    """A `SimEnv` whose slot can begin another trial in the scene as it stands.

    `go_on` answers False, and has done nothing, where the trial's task needs another scene.
    """

    def go_on(self, slot: int, trial: Trial) -> bool: ...


@runtime_checkable
class Robot(Protocol):
    """A robot, real or simulated, behind the safety kernel."""

    @property
    def spec(self) -> RobotSpec: ...
    def connect(self) -> None: ...
    def observe(self) -> Observation: ...
    def command(self, action: Float32[np.ndarray, "action_dim"]) -> None: ...
    def stop(self) -> None: ...
